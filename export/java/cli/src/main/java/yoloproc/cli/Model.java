package yoloproc.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import yoloproc.Classifier;
import yoloproc.Detector;
import yoloproc.ModelSpec;
import yoloproc.Options;

/**
 * A detector or a classifier, for commands that take both.
 *
 * @param detector   null where the model is a classifier
 * @param classifier null where the model is a detector
 */
record Model(Detector detector, Classifier classifier) implements AutoCloseable {

    static Model load(Path path) throws IOException, Mistake {
        return load(path, Options.DEFAULT);
    }

    /** With options; those that speak of boxes are refused for a classifier. */
    static Model load(Path path, Options options) throws IOException, Mistake {
        if (!Files.isDirectory(path) && ModelSpec.ofModel(path).task() == ModelSpec.Task.CLASSIFICATION) {
            try {
                return new Model(null, Classifier.load(path, options));
            } catch (IllegalArgumentException error) {
                throw new Mistake(path + ": " + error.getMessage());
            }
        }
        return new Model(Detector.load(path, options), null);
    }

    ModelSpec spec() {
        return detector != null ? detector.spec() : classifier.spec();
    }

    /** What the network gives for letterboxed pictures. */
    float[] run(byte[] letterboxed) {
        return detector != null ? detector.run(letterboxed) : classifier.run(letterboxed);
    }

    @Override
    public void close() {
        if (detector != null) {
            detector.close();
        } else {
            classifier.close();
        }
    }
}
