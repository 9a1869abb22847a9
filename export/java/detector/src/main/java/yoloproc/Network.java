package yoloproc;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

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
    final LabelCodec codec;

    final String where;
    private final OrtEnvironment environment;
    private final SessionOptions settings;
    private final OrtSession session;
    private final boolean batches;
    private final BlockingQueue<Buffers> singles;
    private final BlockingQueue<Buffers> eights;

    /** What is done with memory that is lent. */
    interface Work<T> {
        T with(Buffers buffers);
    }

    /**
     * Loads a model.
     *
     * @param content of model.onnx
     * @param where   it is from, for messages
     * @throws FormatException not an ONNX model, or none that was exported here
     */
    Network(byte[] content, String where, Options options) throws FormatException {
        this.where = where;
        if (content.length == 0) {
            throw new FormatException(where, "", "an ONNX model", "an empty file; export the model again", "syntax");
        }
        spec = OnnxFile.read(content, where); // before the runtime sees a byte
        codec = spec.codec();
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

    /** How many pictures a batch has; 1 where the graph takes no more. */
    int batch() {
        return batches ? BATCH : 1;
    }

    /** Does something with memory for one picture, or for {@link #batch()} of them. */
    <T> T lend(boolean many, Work<T> work) {
        BlockingQueue<Buffers> pool = many && batches ? eights : singles;
        Buffers buffers = pool.poll();
        if (buffers == null) {
            try {
                buffers = new Buffers(environment, spec, codec, many ? batch() : 1);
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
    void run(Buffers buffers) {
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

    /** Gives all memory back. Nothing may run. */
    @Override
    public void close() {
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
