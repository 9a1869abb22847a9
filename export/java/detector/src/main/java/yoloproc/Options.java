package yoloproc;

import java.util.function.Consumer;

import ai.onnxruntime.OrtSession.SessionOptions;

/**
 * How a {@link Detector} or a {@link Classifier} works. Immutable: every method gives new options.
 *
 * <pre>{@code
 * Options options = Options.DEFAULT.confidence(0.5).threads(1);
 * }</pre>
 *
 * @param confidence    least confidence of a detection, 0 to 1; null for what the model says
 * @param maxIou        a box that overlaps a surer one by so much is dropped, 0 to 1; null for what the model says
 * @param classAgnostic whether boxes of all classes are compared, and not those of one; null for what the model says
 * @param maxDetections boxes left in a picture, at least 1; null for what the model says
 * @param threads       of one run of the network; 0 for one a processor. With many callers at once 1 is fastest
 * @param session       called once with ONNX Runtime's own options, after all of the above; null for none
 */
public record Options(Double confidence, Double maxIou, Boolean classAgnostic, Integer maxDetections, int threads,
        Consumer<SessionOptions> session) {

    /** What the model's file says, on all processors. */
    public static final Options DEFAULT = new Options(null, null, null, null, 0, null);

    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException one out of range, or NaN
     */
    public Options {
        checkShare("confidence", confidence);
        checkShare("maxIou", maxIou);
        if (maxDetections != null && maxDetections < 1) {
            throw new IllegalArgumentException("maxDetections: expected at least 1, found " + maxDetections);
        }
        if (threads < 0) {
            throw new IllegalArgumentException("threads: expected 0 (one a processor) or more, found " + threads);
        }
    }

    private static void checkShare(String name, Double share) {
        if (share != null && !(share >= 0 && share <= 1)) {
            throw new IllegalArgumentException(name + ": expected 0 to 1, found " + share);
        }
    }

    /** With another least confidence, 0 to 1. */
    public Options confidence(double least) {
        return new Options(least, maxIou, classAgnostic, maxDetections, threads, session);
    }

    /** With another largest overlap, 0 to 1. */
    public Options maxIou(double most) {
        return new Options(confidence, most, classAgnostic, maxDetections, threads, session);
    }

    /** With boxes of all classes compared, or those of one class. */
    public Options classAgnostic(boolean agnostic) {
        return new Options(confidence, maxIou, agnostic, maxDetections, threads, session);
    }

    /** With at most so many boxes in a picture, at least 1. */
    public Options maxDetections(int most) {
        return new Options(confidence, maxIou, classAgnostic, most, threads, session);
    }

    /** With so many threads for one run of the network; 0 for one a processor. */
    public Options threads(int count) {
        return new Options(confidence, maxIou, classAgnostic, maxDetections, count, session);
    }

    /** With a function that changes ONNX Runtime's own options, for example to add a GPU. */
    public Options session(Consumer<SessionOptions> change) {
        return new Options(confidence, maxIou, classAgnostic, maxDetections, threads, change);
    }

    /**
     * Refuses options that speak of boxes, of which a classifier has none.
     *
     * @throws IllegalArgumentException names the option
     */
    void requireNoBoxes() {
        String given = confidence != null ? "confidence" : maxIou != null ? "maxIou"
                : classAgnostic != null ? "classAgnostic" : maxDetections != null ? "maxDetections" : null;
        if (given != null) {
            throw new IllegalArgumentException(given + ": expected none for a classifier, which finds no boxes");
        }
    }

    /** These options, and the model's own where there are none. */
    ModelSpec.Defaults over(ModelSpec.Defaults model) {
        return new ModelSpec.Defaults(confidence == null ? model.confidence() : confidence,
                maxIou == null ? model.maxIou() : maxIou, classAgnostic == null ? model.agnostic() : classAgnostic,
                model.maxCandidates(), maxDetections == null ? model.maxDetections() : maxDetections);
    }
}
