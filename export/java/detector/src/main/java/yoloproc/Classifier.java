package yoloproc;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;

/**
 * Pictures in, classes out: a classifier that {@code yolo_proc export} wrote, and everything between a picture and its
 * class.
 *
 * <pre>{@code
 * try (var classifier = Classifier.load(Path.of("model.onnx"))) {
 *     System.out.println(classifier.classify(Path.of("photo.jpg")).best());
 * }
 * }</pre>
 *
 * <p>Any number of threads may share one classifier. {@link #close()} waits for calls that run.
 */
public final class Classifier implements AutoCloseable {

    private final Network network;

    private Classifier(byte[] model, String where, Options options) throws FormatException {
        Objects.requireNonNull(options, "options: expected some, found null; Options.DEFAULT leaves all to the model");
        options.requireNoBoxes();
        network = new Network(model, where, options, ModelSpec.Task.CLASSIFICATION);
    }

    /** {@link #load(Path, Options)} on all processors. */
    public static Classifier load(Path model) throws IOException {
        return load(model, Options.DEFAULT);
    }

    /**
     * The classifier of a model's file.
     *
     * @param model   {@code model.onnx}; one file holds everything
     * @param options threads and the runtime's own
     * @throws FormatException          not an ONNX model, a damaged one, a detector, one that yolo_proc did not export,
     *                                  or of another version
     * @throws IOException              a file that cannot be read
     * @throws IllegalArgumentException an option that speaks of boxes
     */
    public static Classifier load(Path model, Options options) throws IOException {
        return new Classifier(Network.content(model), String.valueOf(model), options);
    }

    /** {@link #load(byte[], Options)} on all processors. */
    public static Classifier load(byte[] model) throws IOException {
        return load(model, Options.DEFAULT);
    }

    /**
     * The classifier of a model's bytes.
     *
     * @param model the content of {@code model.onnx}; not kept
     * @throws FormatException as of {@link #load(Path, Options)}
     */
    public static Classifier load(byte[] model, Options options) throws IOException {
        Objects.requireNonNull(model, "model: expected bytes, found null");
        return new Classifier(model, "model of " + model.length + " bytes", options);
    }

    /** {@link #load(InputStream, Options)} on all processors. */
    public static Classifier load(InputStream model) throws IOException {
        return load(model, Options.DEFAULT);
    }

    /**
     * The classifier of a model in a stream, for example a resource of the application.
     *
     * @param model read to its end, not closed
     * @throws FormatException as of {@link #load(Path, Options)}
     * @throws IOException     a stream that cannot be read
     */
    public static Classifier load(InputStream model, Options options) throws IOException {
        return load(Network.content(model), options);
    }

    /** What the model says of itself: its classes, its picture's size. */
    public ModelSpec spec() {
        return network.spec;
    }

    /**
     * The classes of a picture's file.
     *
     * @param picture a file that {@link Pictures} reads; EXIF orientation is applied
     * @throws FormatException          no picture, a damaged one, or one that promises too many pixels
     * @throws IOException              a file that cannot be read
     * @throws IllegalArgumentException null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the classifier is closed
     */
    public Classification classify(Path picture) throws IOException {
        return classifyAll(Collections.singletonList(picture)).get(0);
    }

    /** {@link #classify(Path)} of a file's bytes. */
    public Classification classify(byte[] picture) throws IOException {
        return classifyAll(Collections.singletonList(picture)).get(0);
    }

    /**
     * The classes of a picture in memory.
     *
     * @param picture taken as it stands: no EXIF is known of it, so turn it upright before; alpha is dropped
     * @throws IllegalArgumentException a picture of a kind that is not read, or null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the classifier is closed
     */
    public Classification classify(BufferedImage picture) {
        return classify(() -> Pictures.of(picture));
    }

    /**
     * The classes of an upright picture.
     *
     * @throws IllegalArgumentException null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the classifier is closed
     */
    public Classification classify(RgbImage picture) {
        return classify(() -> Network.required(picture));
    }

    private Classification classify(Supplier<RgbImage> picture) {
        return network.read(picture, this::classes);
    }

    /**
     * The classes of each of some pictures, in their order. Several go through the network at once.
     *
     * @param pictures each a {@code Path}, {@code byte[]}, {@code BufferedImage} or {@link RgbImage}, as of the methods
     *                 {@code classify}
     * @throws FormatException          of the first picture that cannot be read
     * @throws IOException              a file that cannot be read
     * @throws IllegalArgumentException something else in the list, or null
     * @throws InferenceException       a network that gives NaN
     * @throws IllegalStateException    the classifier is closed
     */
    public List<Classification> classifyAll(List<?> pictures) throws IOException {
        return network.readAll(pictures, this::classes);
    }

    private Classification classes(float[] outputs, int number, Letterbox box) {
        List<String> names = network.spec.classes();
        try {
            return Classification.of(outputs, number * names.size(), names, network.spec.output().activated());
        } catch (IllegalArgumentException error) { // NaN
            throw new InferenceException(network.where + ": " + error.getMessage(), error);
        }
    }

    /**
     * The network alone: what it gives for pictures that are letterboxed already.
     *
     * @param letterboxed N x H x W x 3 bytes in RGB, of the model's size, whatever its input's layout and type are
     * @return N x C: raw logits, or probabilities if the model says that its outputs are activated
     * @throws IllegalArgumentException bytes that are no whole number of pictures
     * @throws IllegalStateException    the classifier is closed
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
