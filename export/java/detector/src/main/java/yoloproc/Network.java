package yoloproc;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.function.Supplier;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.TensorInfo;

/** A model in ONNX Runtime with pools of memory for its runs. Any number of threads may run it; see {@link Usage}. */
final class Network implements AutoCloseable {

    private static final String EXPORTED = "use a model that `yolo_proc export` wrote";

    /** How many pictures go through the network at once, if many are given. */
    static final int BATCH = 8;

    final ModelSpec spec;
    final String where;
    private final Usage usage;
    private final OrtEnvironment environment;
    private final SessionOptions settings;
    private final OrtSession session;
    private final boolean batches;
    private final BlockingQueue<Buffers> singles;
    private final BlockingQueue<Buffers> eights;

    /** What the outputs of one picture mean: it is number `number` of those that went through the network at once. */
    interface Reading<T> {
        T of(float[] outputs, int number, Letterbox box);
    }

    /** What is done with memory that is lent. */
    interface Work<T> {
        T with(Buffers buffers);
    }

    /**
     * Loads a model.
     *
     * @param content of model.onnx
     * @param where   it is from, for messages
     * @param task    that it must have
     * @throws FormatException not an ONNX model, none that was exported here, or one of another task
     */
    Network(byte[] content, String where, Options options, ModelSpec.Task task) throws FormatException {
        this.where = where;
        usage = new Usage(task == ModelSpec.Task.DETECTION ? "detector" : "classifier");
        if (content.length == 0) {
            throw new FormatException(where, "", "an ONNX model", "an empty file; export the model again", "syntax");
        }
        spec = OnnxFile.read(content, where); // before the runtime sees a byte
        if (spec.task() != task) {
            String reader = spec.task() == ModelSpec.Task.DETECTION ? "Detector" : "Classifier";
            throw new FormatException(where, "task", task.word(), spec.task().word() + "; " + reader + " reads it",
                    "value");
        }
        environment = OrtEnvironment.getEnvironment();
        settings = settings(options);
        OrtSession opened = null;
        try {
            opened = open(content);
            batches = check(opened);
        } catch (OrtException error) {
            close(opened);
            throw refused(error);
        } catch (FormatException | RuntimeException error) {
            close(opened);
            throw error;
        }
        session = opened;
        int lent = 2 * Runtime.getRuntime().availableProcessors(); // more callers at once reserve memory of their own
        singles = new ArrayBlockingQueue<>(lent);
        eights = new ArrayBlockingQueue<>(Math.min(lent, 2));
    }

    private static SessionOptions settings(Options options) {
        SessionOptions settings = new SessionOptions();
        try {
            // What it says in an exception it need not say on the console as well.
            settings.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
            if (options.threads() > 0) {
                settings.setIntraOpNumThreads(options.threads());
            }
            if (options.session() != null) {
                options.session().accept(settings);
            }
            return settings;
        } catch (OrtException error) {
            settings.close();
            throw new InferenceException("ONNX Runtime refuses its options: " + oneLine(error), error);
        } catch (RuntimeException error) {
            settings.close();
            throw error;
        }
    }

    private OrtSession open(byte[] content) throws OrtException {
        return environment.createSession(content, settings);
    }

    private FormatException refused(OrtException error) {
        FormatException told = new FormatException(where, "", "an ONNX model that is whole",
                "what ONNX Runtime refuses (" + oneLine(error) + "); " + EXPORTED, "syntax");
        told.initCause(error);
        return told;
    }

    /** Compares the graph with what its metadata says; whether it takes any number of pictures. */
    private boolean check(OrtSession opened) throws OrtException, FormatException {
        Map<String, NodeInfo> inputs = opened.getInputInfo();
        boolean bytes = spec.input().type() == ModelSpec.Type.UINT8;
        TensorInfo input = tensor(inputs, "input", spec.input().name());
        checkType(input, "input " + spec.input().name(), bytes ? OnnxJavaType.UINT8 : OnnxJavaType.FLOAT);
        spec.checkInput(input.getShape(), where);
        TensorInfo output = tensor(opened.getOutputInfo(), "output", spec.output().name());
        checkType(output, "output " + spec.output().name(), OnnxJavaType.FLOAT);
        spec.checkOutput(output.getShape(), where);
        long count = input.getShape()[0];
        if (inputs.size() != 1 || (count != -1 && count != 1)) {
            throw new FormatException(where, "", "one input for one picture or any number of them",
                    inputs.size() + " inputs, the shape " + Arrays.toString(input.getShape()) + "; " + EXPORTED, "value");
        }
        return count == -1;
    }

    private TensorInfo tensor(Map<String, NodeInfo> there, String kind, String name) throws FormatException {
        if (there.containsKey(name) && there.get(name).getInfo() instanceof TensorInfo info) {
            return info;
        }
        throw new FormatException(where, "", "a tensor as " + kind + " " + name,
                String.join(", ", there.keySet()) + "; " + EXPORTED, "value");
    }

    private void checkType(TensorInfo info, String place, OnnxJavaType expected) throws FormatException {
        if (info.type != expected) {
            throw new FormatException(where, place, expected + ", as its metadata says", info.type + "; " + EXPORTED,
                    "value");
        }
    }

    /** The bytes of a model's file, such as {@code model.onnx}. */
    static byte[] content(Path model) throws IOException {
        Objects.requireNonNull(model, "model: expected a path, found null");
        if (Files.isDirectory(model)) {
            throw new FormatException(model.toString(), "", "a model such as model.onnx",
                    "a folder; name the file model.onnx in it", "value");
        }
        try {
            return PlainFiles.read(model, PlainFiles.MAX_BYTES, "a model such as model.onnx", "missing", "value");
        } catch (FormatException error) {
            throw error;
        } catch (IOException error) {
            throw new IOException(model + ": expected a readable file, found: " + error.getMessage(), error);
        }
    }

    /** The bytes of a model in a stream. */
    static byte[] content(InputStream model) throws IOException {
        Objects.requireNonNull(model, "model: expected a stream, found null; is the resource's name right?");
        return model.readAllBytes();
    }

    /** A picture that the caller has, or a line that says that it has none. */
    static RgbImage required(RgbImage picture) {
        if (picture == null) {
            throw new IllegalArgumentException("picture: expected an RgbImage, found null");
        }
        return picture;
    }

    /** What a picture's outputs mean. */
    <T> T read(Supplier<RgbImage> picture, Reading<T> reading) {
        usage.enter();
        try {
            RgbImage image = picture.get();
            return lend(false, buffers -> {
                Letterbox box = put(image, 0, buffers);
                run(buffers);
                return reading.of(buffers.outputs, 0, box);
            });
        } finally {
            usage.leave();
        }
    }

    /** What the outputs of each of some pictures mean, in their order; several go through the network at once. */
    <T> List<T> readAll(List<?> pictures, Reading<T> reading) throws IOException {
        usage.enter();
        try {
            if (pictures == null) {
                throw new IllegalArgumentException("pictures: expected a list, found null");
            }
            List<T> found = new ArrayList<>();
            while (found.size() < pictures.size()) {
                int left = pictures.size() - found.size();
                int count = left >= batch() ? batch() : 1;
                RgbImage[] images = new RgbImage[count];
                for (int i = 0; i < count; i++) {
                    images[i] = picture(pictures.get(found.size() + i));
                }
                found.addAll(lend(count > 1, buffers -> several(images, buffers, reading)));
            }
            return Collections.unmodifiableList(found);
        } finally {
            usage.leave();
        }
    }

    private <T> List<T> several(RgbImage[] images, Buffers buffers, Reading<T> reading) {
        Letterbox[] boxes = new Letterbox[images.length];
        for (int i = 0; i < images.length; i++) {
            boxes[i] = put(images[i], i, buffers);
        }
        run(buffers);
        List<T> found = new ArrayList<>();
        for (int i = 0; i < images.length; i++) {
            found.add(reading.of(buffers.outputs, i, boxes[i]));
        }
        return found;
    }

    private static RgbImage picture(Object picture) throws IOException {
        if (picture instanceof Path path) {
            return Pictures.read(path);
        }
        if (picture instanceof byte[] bytes) {
            return Pictures.read(bytes, "picture of " + bytes.length + " bytes");
        }
        if (picture instanceof BufferedImage image) {
            return Pictures.of(image);
        }
        if (picture instanceof RgbImage image) {
            return image;
        }
        throw new IllegalArgumentException("pictures: expected a Path, byte[], BufferedImage or RgbImage, found "
                + (picture == null ? "null" : picture.getClass().getName()));
    }

    /** Makes an upright picture the network's input; where it lies in it. */
    private Letterbox put(RgbImage picture, int number, Buffers buffers) {
        Letterbox box = Letterbox.of(picture.width(), picture.height(), spec.input().width(), spec.input().height());
        box.apply(picture.rgb(), buffers.frame);
        buffers.put(number, buffers.frame, 0);
        return box;
    }

    /**
     * What the network gives for pictures that are letterboxed already.
     *
     * @param letterboxed N x H x W x 3 bytes in RGB
     * @throws IllegalArgumentException bytes that are no whole number of pictures
     */
    float[] outputs(byte[] letterboxed) {
        int length = 3 * spec.input().width() * spec.input().height();
        if (letterboxed.length % length != 0) {
            throw new IllegalArgumentException("run: expected N x " + spec.input().height() + " x "
                    + spec.input().width() + " x 3 bytes, found " + letterboxed.length);
        }
        int pictures = letterboxed.length / length;
        int values = spec.outputValues();
        float[] outputs = new float[Math.multiplyExact(pictures, values)];
        usage.enter();
        try {
            for (int done = 0; done < pictures;) {
                int first = done;
                int count = pictures - done >= batch() ? batch() : 1;
                lend(count > 1, buffers -> {
                    for (int i = 0; i < count; i++) {
                        buffers.put(i, letterboxed, (first + i) * length);
                    }
                    run(buffers);
                    System.arraycopy(buffers.outputs, 0, outputs, first * values, count * values);
                    return null;
                });
                done += count;
            }
        } finally {
            usage.leave();
        }
        return outputs;
    }

    /** How many pictures a batch has; 1 where the graph takes no more. */
    private int batch() {
        return batches ? BATCH : 1;
    }

    /** Does something with memory for one picture, or for {@link #batch()} of them. */
    private <T> T lend(boolean many, Work<T> work) {
        BlockingQueue<Buffers> pool = many && batches ? eights : singles;
        Buffers buffers = pool.poll();
        if (buffers == null) {
            try {
                buffers = new Buffers(environment, spec, many ? batch() : 1);
            } catch (OrtException error) {
                throw new InferenceException(where + ": no memory for the network: " + oneLine(error), error);
            }
        }
        try {
            return work.with(buffers);
        } finally {
            if (!pool.offer(buffers)) {
                buffers.close();
            }
        }
    }

    /** Runs the network on what was put into the memory; what it gave is in {@code outputs} afterwards. */
    private void run(Buffers buffers) {
        try {
            session.run(buffers.in, Set.of(), buffers.out).close(); // the output stays: it is ours
            buffers.take();
        } catch (OrtException error) {
            throw new InferenceException(where + ": the network cannot be run: " + oneLine(error), error);
        }
    }

    private static String oneLine(Throwable error) {
        String text = String.valueOf(error.getMessage()).strip().replaceAll("\\s+", " ");
        return text.length() <= 200 ? text : text.substring(0, 200) + "...";
    }

    /** Waits for the calls that run, then gives all memory back. */
    @Override
    public void close() {
        usage.close(this::release);
    }

    private void release() {
        for (BlockingQueue<Buffers> pool : List.of(singles, eights)) {
            for (Buffers buffers = pool.poll(); buffers != null; buffers = pool.poll()) {
                buffers.close();
            }
        }
        close(session);
    }

    private void close(OrtSession opened) {
        try {
            if (opened != null) {
                opened.close();
            }
        } catch (OrtException error) {
            throw new InferenceException(where + ": ONNX Runtime cannot close the model: " + oneLine(error), error);
        } finally {
            settings.close();
        }
    }
}
