package yoloproc;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import yoloproc.GoldenVectors.Array;
import yoloproc.GoldenVectors.Case;

/** Golden vectors through this library: every stage apart, each case compared with what it must give. */
public final class Replay {

    private static final Set<String> OF_DETECTORS = Set.of("activate", "deactivate", "decode", "nms", "assign");

    private final GoldenVectors vectors;
    private final LabelCodec codec;
    private final Network network;

    /** A network, for the stage "model". */
    @FunctionalInterface
    public interface Network {

        /**
         * Runs it.
         *
         * @param images   pictures x height x width x 3 bytes, letterboxed RGB
         * @param pictures how many
         * @return pictures x slots x (5 + C), or pictures x C of a classifier
         */
        float[] run(byte[] images, int pictures);
    }

    /**
     * A replay.
     *
     * @param vectors the cases
     * @param network null to leave the stage "model" out
     */
    public Replay(GoldenVectors vectors, Network network) {
        this.vectors = vectors;
        this.network = network;
        codec = vectors.model().task() == ModelSpec.Task.DETECTION ? vectors.model().codec() : null;
    }

    /**
     * What is wrong: one line for each output that differs, none where all is well.
     */
    public List<String> differences() {
        List<String> lines = new ArrayList<>();
        for (Case each : vectors.cases()) {
            if (!each.stage().equals("model") || network != null) {
                lines.addAll(differences(each));
            }
        }
        return lines;
    }

    /**
     * What is wrong with one case.
     */
    public List<String> differences(Case each) {
        List<String> lines = new ArrayList<>();
        Map<String, Object> found;
        try {
            found = perform(each.stage(), each.in());
        } catch (IOException | RuntimeException error) { // what the library refuses here it took in Python
            return List.of(each.name() + ": expected outputs, found " + error);
        }
        if (!found.keySet().equals(each.out().keySet())) {
            lines.add(each.name() + ": expected outputs " + each.out().keySet() + ", found " + found.keySet());
        }
        for (Map.Entry<String, Object> output : each.out().entrySet()) {
            if (found.containsKey(output.getKey())) {
                String told = difference(output.getValue(), found.get(output.getKey()), output.getKey(), each.stage());
                if (!told.isEmpty()) {
                    lines.add(each.name() + ": " + output.getKey() + ": " + told);
                }
            }
        }
        return lines;
    }

    /** The outputs of a stage. */
    private Map<String, Object> perform(String stage, Map<String, Object> in) throws IOException {
        if (codec == null && OF_DETECTORS.contains(stage)) {
            throw new IllegalArgumentException("golden vectors: expected a stage of a classifier, found " + stage);
        }
        switch (stage) {
            case "picture":
                RgbImage picture = Pictures.read(array(in, "bytes").bytes());
                return Map.of("rgb", new Array("u8", List.of(picture.height(), picture.width(), 3), picture.rgb()));
            case "letterbox":
                return letterbox(in);
            case "model":
                Array images = array(in, "images");
                float[] outputs = network.run(images.bytes(), images.shape().get(0));
                List<Integer> shape = Arrays.stream(vectors.model().outputShape(images.shape().get(0)))
                        .mapToObj(Math::toIntExact).toList();
                return Map.of(vectors.model().output().activated() ? "predictions" : "logits",
                        new Array("f32", shape, outputs));
            case "classify":
                return classified(in);
            case "activate":
                Array logits = array(in, "logits");
                return Map.of("predictions", new Array("f64", logits.shape(), codec.activate(logits.floats())));
            case "deactivate":
                Array predictions = array(in, "predictions");
                return Map.of("logits", new Array("f64", predictions.shape(), codec.deactivate(predictions.doubles())));
            case "decode":
                return outputs(candidates(in));
            case "nms":
                LabelCodec.Candidates all = candidates(in);
                int[] compared = in.get("nms").equals("class") ? all.classIds() : null;
                int[] kept = NonMaxSuppression.kept(all.boxesXyxy(), compared,
                        number(in, "max_iou"), whole(in, "max_detections"));
                return outputs(all.pick(kept).clipped(codec.width(), codec.height()));
            case "picture_boxes":
                Letterbox place = Letterbox.of(whole(in, "picture_width"), whole(in, "picture_height"),
                        whole(in, "width"), whole(in, "height"));
                Array boxes = array(in, "boxes");
                return Map.of("boxes", new Array("f64", boxes.shape(), place.boxesToPicture(boxes.doubles())));
            case "assign":
                return assign(in);
            default:
                throw new IllegalArgumentException("golden vectors: expected a stage of the ten, found " + stage);
        }
    }

    private static Map<String, Object> letterbox(Map<String, Object> in) {
        Array rgb = array(in, "rgb");
        Letterbox place = Letterbox.of(rgb.shape().get(1), rgb.shape().get(0), whole(in, "width"), whole(in, "height"));
        List<Integer> shape = List.of(place.height(), place.width(), 3);
        return Map.of("letterboxed", new Array("u8", shape, place.apply(rgb.bytes())), "left", place.left(), "top",
                place.top(), "nw", place.nw(), "nh", place.nh());
    }

    private Map<String, Object> classified(Map<String, Object> in) {
        boolean activated = in.containsKey("predictions");
        float[] values = array(in, activated ? "predictions" : "logits").floats();
        List<Classification.Score> scores = Classification.of(values, 0, vectors.model().classes(), activated).scores();
        List<Integer> shape = List.of(scores.size());
        return Map.of("class_ids",
                new Array("i32", shape, scores.stream().mapToInt(Classification.Score::classId).toArray()),
                "confidences",
                new Array("f64", shape, scores.stream().mapToDouble(Classification.Score::confidence).toArray()));
    }

    private LabelCodec.Candidates candidates(Map<String, Object> in) {
        boolean activated = in.containsKey("predictions");
        float[] values = array(in, activated ? "predictions" : "logits").floats();
        return codec.decode(values, 0, number(in, "confidence"), whole(in, "max_candidates"), activated);
    }

    private static Map<String, Object> outputs(LabelCodec.Candidates found) {
        List<Integer> shape = List.of(found.size());
        return Map.of("slots", new Array("i32", shape, found.slots()), "boxes",
                new Array("f64", List.of(found.size(), 4), found.boxesXyxy()), "confidences",
                new Array("f64", shape, found.confidence()), "class_ids", new Array("i32", shape, found.classIds()));
    }

    private Map<String, Object> assign(Map<String, Object> in) {
        LabelCodec.Objects objects = new LabelCodec.Objects(array(in, "boxes").doubles(), array(in, "class_ids").ints(),
                array(in, "confidences").doubles(), array(in, "visible").doubles(), array(in, "in_frame").doubles(),
                array(in, "ignore").doubles());
        LabelCodec.Targets targets = codec.assign(objects, new LabelCodec.Limits(number(in, "min_visible"),
                number(in, "min_in_frame"), number(in, "min_box_px")));
        Map<String, Object> dropped = new LinkedHashMap<>();
        dropped.put("slot_taken", (long) targets.slotTaken());
        dropped.put("min_in_frame", (long) targets.minInFrame());
        dropped.put("min_visible", (long) targets.minVisible());
        dropped.put("min_box_px", (long) targets.minBoxPx());
        return Map.of("targets", new Array("f32", List.of(codec.slots(), codec.fields()), targets.dense()), "dropped",
                dropped);
    }

    private static Array array(Map<String, Object> in, String key) {
        return (Array) in.get(key);
    }

    private static double number(Map<String, Object> in, String key) {
        return ((Number) in.get(key)).doubleValue();
    }

    private static int whole(Map<String, Object> in, String key) {
        return Math.toIntExact((Long) in.get(key));
    }

    // ---- comparing

    private String difference(Object expected, Object found, String key, String stage) {
        boolean pixels = key.equals("boxes");
        String kind = pixels ? "boxes" : stage.equals("model") ? "logits" : "activations";
        return difference(expected, found, vectors.tolerances().get(kind), pixels);
    }

    /** What is wrong with an output, in words; nothing where it is as expected. The tolerance is of fractions alone. */
    static String difference(Object expected, Object found, double tolerance, boolean absolute) {
        if (!(expected instanceof Array wanted)) {
            boolean same = expected instanceof Number a && found instanceof Number b
                    ? a.doubleValue() == b.doubleValue() : expected.equals(found);
            return same ? "" : "expected " + expected + ", found " + found;
        }
        Array given = (Array) found;
        if (!wanted.type().equals(given.type()) || !wanted.shape().equals(given.shape())) {
            return "expected " + wanted.type() + wanted.shape() + ", found " + given.type() + given.shape();
        }
        double limit = wanted.type().charAt(0) != 'f' ? 0 : tolerance;
        double[] wantedValues = doubles(wanted);
        double[] givenValues = doubles(given);
        int wrong = 0;
        int first = -1;
        for (int i = 0; i < wantedValues.length; i++) {
            double scale = absolute ? 1 : Math.max(1, Math.abs(wantedValues[i]));
            boolean same = wantedValues[i] == givenValues[i] // infinity is like itself alone, and NaN like nothing
                    || Double.isFinite(wantedValues[i]) && Math.abs(wantedValues[i] - givenValues[i]) <= limit * scale;
            if (!same) {
                first = wrong++ == 0 ? i : first;
            }
        }
        return wrong == 0 ? "" : "expected " + wantedValues[first] + " at " + first + ", found " + givenValues[first]
                + " (" + wrong + " of " + wantedValues.length + " values are wrong, tolerance " + limit + ")";
    }

    private static double[] doubles(Array array) {
        if (array.values() instanceof double[] doubles) {
            return doubles;
        }
        if (array.values() instanceof int[] ints) {
            return Arrays.stream(ints).asDoubleStream().toArray();
        }
        double[] found = new double[java.lang.reflect.Array.getLength(array.values())];
        for (int i = 0; i < found.length; i++) {
            found[i] = array.values() instanceof float[] floats ? floats[i] : array.bytes()[i] & 255;
        }
        return found;
    }
}
