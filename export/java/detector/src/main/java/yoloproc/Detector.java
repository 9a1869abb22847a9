package yoloproc;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;

/**
 * Pictures in, boxes out: a model that {@code yolo_proc export} wrote, and everything between a picture and boxes on it.
 *
 * <pre>{@code
 * try (var detector = Detector.load(Path.of("model.onnx"))) {
 *     for (var found : detector.detect(Path.of("photo.jpg"))) {
 *         System.out.println(found);
 *     }
 * }
 * }</pre>
 *
 * <p>Any number of threads may share one detector. {@link #close()} waits for calls that run.
 */
public final class Detector implements AutoCloseable {

    private final Network network;
    private final ModelSpec.Defaults limits;
    private final LabelCodec codec;
    private final LongAdder cutDetections = new LongAdder();
    private final LongAdder cutCandidates = new LongAdder();

    private Detector(byte[] model, String where, Options options) throws FormatException {
        Objects.requireNonNull(options, "options: expected some, found null; Options.DEFAULT leaves all to the model");
        network = new Network(model, where, options, ModelSpec.Task.DETECTION);
        codec = network.spec.codec();
        limits = options.over(network.spec.defaults());
    }

    // ---- loading

    /** {@link #load(Path, Options)} as the model's file says. */
    public static Detector load(Path model) throws IOException {
        return load(model, Options.DEFAULT);
    }

    /**
     * The detector of a model's file.
     *
     * @param model {@code model.onnx}; one file holds everything
     * @throws FormatException  not an ONNX model, a damaged one, one that yolo_proc did not export, or of another version
     * @throws IOException      a file that cannot be read
     */
    public static Detector load(Path model, Options options) throws IOException {
        byte[] content = Network.content(model);
        return new Detector(content, model.toString(), options);
    }

    /** {@link #load(byte[], Options)} as the model's file says. */
    public static Detector load(byte[] model) throws IOException {
        return load(model, Options.DEFAULT);
    }

    /**
     * The detector of a model's bytes.
     *
     * @param model the content of {@code model.onnx}; not kept
     * @throws FormatException as of {@link #load(Path, Options)}
     */
    public static Detector load(byte[] model, Options options) throws IOException {
        Objects.requireNonNull(model, "model: expected bytes, found null");
        return new Detector(model, "model of " + model.length + " bytes", options);
    }

    /** {@link #load(InputStream, Options)} as the model's file says. */
    public static Detector load(InputStream model) throws IOException {
        return load(model, Options.DEFAULT);
    }

    /**
     * The detector of a model in a stream, for example a resource of the application.
     *
     * @param model read to its end, not closed
     * @throws FormatException as of {@link #load(Path, Options)}
     * @throws IOException     a stream that cannot be read
     */
    public static Detector load(InputStream model, Options options) throws IOException {
        return load(Network.content(model), options);
    }

    /** What the model says of itself: its classes, its picture's size, its slots. */
    public ModelSpec spec() {
        return network.spec;
    }

    /** What decides about its boxes: the options, and the model's own values where they say nothing. */
    public ModelSpec.Defaults limits() {
        return limits;
    }

    /**
     * How many pictures had more than the limits let through, since the model was loaded: what is left out must not look
     * like nothing.
     *
     * @param detections with more than {@code maxDetections} boxes; the rest was left out
     * @param candidates with more than {@code maxCandidates} slots; the least confident were not looked at
     */
    public record Cuts(long detections, long candidates) {
    }

    /** How many pictures had more than the limits let through. */
    public Cuts cuts() {
        return new Cuts(cutDetections.sum(), cutCandidates.sum());
    }

    // ---- detecting

    /**
     * What is found in a picture's file, the surest first; boxes in the pixels of the upright picture.
     *
     * @param picture a file that {@link Pictures} reads; EXIF orientation is applied
     * @throws FormatException          no picture, a damaged one, or one that promises too many pixels
     * @throws IOException              a file that cannot be read
     * @throws IllegalArgumentException null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the detector is closed
     */
    public List<Detection> detect(Path picture) throws IOException {
        return detectAll(Collections.singletonList(picture)).get(0);
    }

    /** {@link #detect(Path)} of a file's bytes. */
    public List<Detection> detect(byte[] picture) throws IOException {
        return detectAll(Collections.singletonList(picture)).get(0);
    }

    /**
     * What is found in a picture in memory, the surest first; boxes in its pixels.
     *
     * @param picture taken as it stands: no EXIF is known of it, so turn it upright before; alpha is dropped
     * @throws IllegalArgumentException a picture of a kind that is not read, or null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the detector is closed
     */
    public List<Detection> detect(BufferedImage picture) {
        return detect(() -> Pictures.of(picture));
    }

    /**
     * What is found in an upright picture, the surest first; boxes in its pixels.
     *
     * @throws IllegalArgumentException null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the detector is closed
     */
    public List<Detection> detect(RgbImage picture) {
        return detect(() -> Network.required(picture));
    }

    private List<Detection> detect(Supplier<RgbImage> picture) {
        return network.read(picture, this::decoded);
    }

    /**
     * What is found in each of some pictures, in their order. Several go through the network at once.
     *
     * @param pictures each a {@code Path}, {@code byte[]}, {@code BufferedImage} or {@link RgbImage}, as of the methods
     *                 {@code detect}
     * @return one list for each picture
     * @throws FormatException          of the first picture that cannot be read
     * @throws IOException              a file that cannot be read
     * @throws IllegalArgumentException something else in the list, or null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the detector is closed
     */
    public List<List<Detection>> detectAll(List<?> pictures) throws IOException {
        return network.readAll(pictures, this::decoded);
    }

    private List<Detection> decoded(float[] outputs, int number, Letterbox box) {
        LabelCodec.Candidates found;
        try {
            found = codec.decode(outputs, number * codec.slots() * codec.fields(), limits.confidence(),
                    limits.maxCandidates(), network.spec.output().activated());
        } catch (IllegalArgumentException error) { // the limits were checked: NaN
            throw new InferenceException(network.where + ": " + error.getMessage(), error);
        }
        if (found.size() == limits.maxCandidates() && codec.count(outputs, number * codec.slots() * codec.fields(),
                limits.confidence(), network.spec.output().activated()) > found.size()) {
            cutCandidates.increment();
        }
        int most = limits.maxDetections() == Integer.MAX_VALUE ? Integer.MAX_VALUE : limits.maxDetections() + 1;
        int[] kept = NonMaxSuppression.kept(found.boxesXyxy(), limits.agnostic() ? null : found.classIds(),
                limits.maxIou(), most); // one more: is it cut?
        if (kept.length > limits.maxDetections()) {
            cutDetections.increment();
            kept = Arrays.copyOf(kept, limits.maxDetections());
        }
        found = found.pick(kept).clipped(codec.width(), codec.height());
        double[] xyxy = box.boxesToPicture(found.boxesXyxy());
        Detection[] detections = new Detection[found.size()];
        for (int i = 0; i < detections.length; i++) {
            int classId = found.classIds()[i];
            detections[i] = new Detection(classId, network.spec.classes().get(classId), (float) found.confidence()[i],
                    xyxy[4 * i], xyxy[4 * i + 1], xyxy[4 * i + 2], xyxy[4 * i + 3]);
        }
        return Collections.unmodifiableList(Arrays.asList(detections));
    }

    /**
     * The network alone: what it gives for pictures that are letterboxed already.
     *
     * @param letterboxed N x H x W x 3 bytes in RGB, of the model's size, whatever its input's layout and type are
     * @return N x slots x (5 + C): raw logits, or predictions if the model says that its outputs are activated
     * @throws IllegalArgumentException bytes that are no whole number of pictures
     * @throws IllegalStateException    the detector is closed
     */
    public float[] run(byte[] letterboxed) {
        return network.outputs(letterboxed);
    }

    /** Waits for the calls that run, then gives the model's memory back. Later calls throw IllegalStateException. */
    @Override
    public void close() {
        network.close();
    }
}
