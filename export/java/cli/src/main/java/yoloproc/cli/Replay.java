package yoloproc.cli;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import yoloproc.Detector;
import yoloproc.LabelCodec;
import yoloproc.LabelCodec.Candidates;
import yoloproc.Letterbox;
import yoloproc.ModelSpec;
import yoloproc.NonMaxSuppression;
import yoloproc.Pictures;
import yoloproc.RgbImage;
import yoloproc.cli.VectorSet.Values;

/** Every stage of golden vectors by its name, from inputs to outputs, as the library does it in this JVM. */
final class Replay {

    private final Detector detector;
    private final LabelCodec codec;
    private final String outputs; // what the network's outputs are called

    Replay(ModelSpec spec, Detector detector) {
        this.detector = detector;
        codec = spec.codec();
        outputs = spec.output().activated() ? "predictions" : "logits";
    }

    /**
     * The outputs of a stage.
     *
     * @throws IOException              a picture that cannot be read
     * @throws IllegalArgumentException no such stage, or inputs that it does not take
     */
    Map<String, Object> perform(String stage, Map<String, Object> in) throws IOException {
        return switch (stage) {
            case "picture" -> picture(Pictures.read(array(in, "bytes", byte[].class)));
            case "letterbox" -> letterbox(in);
            case "model" -> model(in);
            case "activate" -> Map.of("predictions", slots(codec.activate(array(in, "logits", float[].class))));
            case "deactivate" -> Map.of("logits", slots(codec.deactivate(array(in, "predictions", double[].class))));
            case "decode" -> boxes(decode(in));
            case "nms" -> boxes(suppressed(in));
            case "picture_boxes" -> pictureBoxes(in);
            case "assign" -> assign(in);
            default -> throw new IllegalArgumentException("expected a stage that this release knows, found " + stage);
        };
    }

    private static Map<String, Object> picture(RgbImage picture) {
        return Map.of("rgb", new Values(List.of(picture.height(), picture.width(), 3), picture.rgb()));
    }

    private static Map<String, Object> letterbox(Map<String, Object> in) {
        List<Integer> shape = ((Values) in.get("rgb")).shape();
        Letterbox box = Letterbox.of(shape.get(1), shape.get(0), whole(in, "width"), whole(in, "height"));
        byte[] frame = box.apply(array(in, "rgb", byte[].class));
        return Map.of("letterboxed", new Values(List.of(box.height(), box.width(), 3), frame), "left", (long) box.left(),
                "top", (long) box.top(), "nw", (long) box.nw(), "nh", (long) box.nh());
    }

    private Map<String, Object> model(Map<String, Object> in) {
        float[] found = detector.run(array(in, "images", byte[].class));
        int pictures = ((Values) in.get("images")).shape().get(0);
        return Map.of(outputs, new Values(List.of(pictures, codec.slots(), codec.fields()), found));
    }

    private Values slots(double[] values) {
        return new Values(List.of(values.length / codec.fields(), codec.fields()), values);
    }

    private Candidates decode(Map<String, Object> in) {
        boolean activated = in.containsKey("predictions"); // a case says which it has, whatever the model gives
        return codec.decode(array(in, activated ? "predictions" : "logits", float[].class), 0, number(in, "confidence"),
                whole(in, "max_candidates"), activated);
    }

    private Candidates suppressed(Map<String, Object> in) {
        Candidates found = decode(in);
        int[] compared = "agnostic".equals(in.get("nms")) ? null : found.classIds();
        int[] kept = NonMaxSuppression.kept(found.boxesXyxy(), compared, number(in, "max_iou"),
                whole(in, "max_detections"));
        return found.pick(kept).clipped(codec.width(), codec.height());
    }

    private static Map<String, Object> boxes(Candidates found) {
        int n = found.size();
        return Map.of("slots", new Values(List.of(n), found.slots()), "boxes", new Values(List.of(n, 4), found.boxesXyxy()),
                "confidences", new Values(List.of(n), found.confidence()), "class_ids",
                new Values(List.of(n), found.classIds()));
    }

    private static Map<String, Object> pictureBoxes(Map<String, Object> in) {
        Letterbox box = Letterbox.of(whole(in, "picture_width"), whole(in, "picture_height"), whole(in, "width"),
                whole(in, "height"));
        double[] boxes = box.boxesToPicture(array(in, "boxes", double[].class));
        return Map.of("boxes", new Values(List.of(boxes.length / 4, 4), boxes));
    }

    private Map<String, Object> assign(Map<String, Object> in) {
        LabelCodec.Objects objects = new LabelCodec.Objects(array(in, "boxes", double[].class),
                array(in, "class_ids", int[].class), array(in, "confidences", double[].class),
                array(in, "visible", double[].class), array(in, "in_frame", double[].class),
                array(in, "ignore", double[].class));
        LabelCodec.Targets found = codec.assign(objects, new LabelCodec.Limits(number(in, "min_visible"),
                number(in, "min_in_frame"), number(in, "min_box_px")));
        Map<String, Object> dropped = new LinkedHashMap<>();
        dropped.put("slot_taken", (long) found.slotTaken());
        dropped.put("min_in_frame", (long) found.minInFrame());
        dropped.put("min_visible", (long) found.minVisible());
        dropped.put("min_box_px", (long) found.minBoxPx());
        return Map.of("targets", new Values(List.of(codec.slots(), codec.fields()), found.dense()), "dropped", dropped);
    }

    private static <T> T array(Map<String, Object> in, String key, Class<T> type) {
        if (in.get(key) instanceof Values values && type.isInstance(values.values())) {
            return type.cast(values.values());
        }
        throw new IllegalArgumentException("expected " + key + " of the type " + type.getSimpleName());
    }

    private static double number(Map<String, Object> in, String key) {
        if (in.get(key) instanceof Number number) {
            return number.doubleValue();
        }
        throw new IllegalArgumentException("expected a number " + key);
    }

    private static int whole(Map<String, Object> in, String key) {
        if (in.get(key) instanceof Long number) {
            return Math.toIntExact(number);
        }
        throw new IllegalArgumentException("expected a whole number " + key);
    }
}
