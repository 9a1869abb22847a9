package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/** The golden vectors see plausible bugs: what they are replayed through is spoiled, one thing at a time. */
class MutationTest {

    private static final Path VECTORS = Path.of("..", "..", "vectors", "v1");

    /** The stages that are spoiled, as the library does them. */
    private static class Stages {
        final LabelCodec codec;

        Stages(LabelCodec codec) {
            this.codec = codec;
        }

        byte[] picture(byte[] data) throws IOException {
            return Pictures.read(data).rgb();
        }

        double[] activate(float[] logits) {
            return codec.activate(logits);
        }

        LabelCodec.Candidates decode(float[] outputs, double confidence, int most, boolean activated) {
            return codec.decode(outputs, 0, confidence, most, activated);
        }

        int[] kept(LabelCodec.Candidates found, boolean agnostic, double maxIou, int most) {
            return NonMaxSuppression.kept(found.boxesXyxy(), agnostic ? null : found.classIds(), maxIou, most);
        }

        byte[] letterbox(RgbImage picture, int width, int height) {
            return Letterbox.of(picture.width(), picture.height(), width, height).apply(picture.rgb());
        }
    }

    private final Map<?, ?> index = (Map<?, ?>) Json.read(
            Files.readString(VECTORS.resolve("index.json"), StandardCharsets.US_ASCII), "index.json");
    private final LabelCodec codec = ModelSpec.read(Json.write(index.get("model")), "index.json").codec();

    MutationTest() throws IOException {
    }

    @Test
    void theLibraryItselfPasses() throws IOException {
        assertEquals(Set.of(), spoiled(new Stages(codec)));
    }

    @Test
    void aDroppedSigmoidIsSeen() throws IOException {
        assertEquals(Set.of("activate", "decode", "nms"), spoiled(new Stages(codec) {
            @Override
            double[] activate(float[] logits) {
                double[] predictions = super.activate(logits);
                for (int at = 0; at < logits.length; at += codec.fields()) {
                    for (int field : new int[] {LabelCodec.X, LabelCodec.Y, LabelCodec.J}) {
                        predictions[at + field] = logits[at + field];
                    }
                }
                return predictions;
            }

            @Override
            LabelCodec.Candidates decode(float[] outputs, double confidence, int most, boolean activated) {
                LabelCodec.Candidates found = super.decode(outputs, confidence, most, activated);
                double[] raw = found.confidence().clone();
                for (int i = 0; i < raw.length; i++) {
                    raw[i] = outputs[found.slots()[i] * codec.fields() + LabelCodec.J];
                }
                return new LabelCodec.Candidates(found.slots(), found.boxesXyxy(), raw, found.classIds());
            }
        }));
    }

    @Test
    void swappedWidthAndHeightAreSeen() throws IOException {
        assertEquals(Set.of("decode", "nms"), spoiled(new Stages(codec) {
            @Override
            LabelCodec.Candidates decode(float[] outputs, double confidence, int most, boolean activated) {
                float[] swapped = outputs.clone();
                for (int at = 0; at < outputs.length; at += codec.fields()) {
                    swapped[at + LabelCodec.W] = outputs[at + LabelCodec.H];
                    swapped[at + LabelCodec.H] = outputs[at + LabelCodec.W];
                }
                return super.decode(swapped, confidence, most, activated);
            }
        }));
    }

    @Test
    void blueFirstIsSeen() throws IOException {
        assertEquals(Set.of("picture"), spoiled(new Stages(codec) {
            @Override
            byte[] picture(byte[] data) throws IOException {
                byte[] rgb = super.picture(data);
                byte[] bgr = rgb.clone();
                for (int at = 0; at < rgb.length; at += 3) {
                    bgr[at] = rgb[at + 2];
                    bgr[at + 2] = rgb[at];
                }
                return bgr;
            }
        }));
    }

    @Test
    void perClassAndAgnosticSwappedAreSeen() throws IOException {
        assertEquals(Set.of("nms"), spoiled(new Stages(codec) {
            @Override
            int[] kept(LabelCodec.Candidates found, boolean agnostic, double maxIou, int most) {
                return super.kept(found, !agnostic, maxIou, most);
            }
        }));
    }

    @Test
    void anOverlapOfJustTheLimitIsSeen() throws IOException {
        assertEquals(Set.of("nms"), spoiled(new Stages(codec) {
            @Override
            int[] kept(LabelCodec.Candidates found, boolean agnostic, double maxIou, int most) {
                return super.kept(found, agnostic, Math.min(Math.nextUp(maxIou), 1), most);
            }
        }));
    }

    @Test
    void boxesComparedAfterClippingAreSeen() throws IOException {
        assertEquals(Set.of("nms"), spoiled(new Stages(codec) {
            @Override
            int[] kept(LabelCodec.Candidates found, boolean agnostic, double maxIou, int most) {
                return super.kept(found.clipped(codec.width(), codec.height()), agnostic, maxIou, most);
            }
        }));
    }

    @Test
    void oneLevelOfGreyIsSeen() throws IOException {
        assertEquals(Set.of("letterbox"), spoiled(new Stages(codec) {
            @Override
            byte[] letterbox(RgbImage picture, int width, int height) {
                byte[] frame = super.letterbox(picture, width, height);
                frame[frame.length - 1]++;
                return frame;
            }
        }));
    }

    /** The stages of which at least one case comes out otherwise. */
    private Set<String> spoiled(Stages stages) throws IOException {
        Set<String> found = new TreeSet<>();
        Set<String> seen = new TreeSet<>();
        for (Object one : (List<?>) index.get("cases")) {
            Map<?, ?> row = (Map<?, ?>) one;
            String stage = (String) row.get("stage");
            Map<?, ?> in = (Map<?, ?>) row.get("in");
            Map<?, ?> out = (Map<?, ?>) row.get("out");
            boolean equal = switch (stage) {
                case "picture" -> Arrays.equals(bytes(out.get("rgb")), stages.picture(bytes(in.get("bytes"))));
                case "letterbox" -> Arrays.equals(bytes(out.get("letterboxed")),
                        stages.letterbox(image(in.get("rgb")), number(in, "width"), number(in, "height")));
                case "activate" -> near(doubles(out.get("predictions")),
                        stages.activate(floats(in.get("logits"))), 1e-6);
                case "decode" -> equal(out, candidates(stages, in));
                case "nms" -> equal(out, suppressed(stages, in).clipped(codec.width(), codec.height()));
                default -> true; // not spoiled here
            };
            seen.add(stage);
            if (!equal) {
                found.add(stage);
            }
        }
        assertTrue(seen.containsAll(List.of("picture", "letterbox", "activate", "decode", "nms")), "stages " + seen);
        return found;
    }

    private LabelCodec.Candidates candidates(Stages stages, Map<?, ?> in) throws IOException {
        boolean activated = in.containsKey("predictions");
        float[] outputs = floats(in.get(activated ? "predictions" : "logits"));
        return stages.decode(outputs, real(in, "confidence"), number(in, "max_candidates"), activated);
    }

    private LabelCodec.Candidates suppressed(Stages stages, Map<?, ?> in) throws IOException {
        LabelCodec.Candidates found = candidates(stages, in);
        boolean agnostic = in.get("nms").equals("agnostic");
        return found.pick(stages.kept(found, agnostic, real(in, "max_iou"), number(in, "max_detections")));
    }

    private boolean equal(Map<?, ?> out, LabelCodec.Candidates found) throws IOException {
        return Arrays.equals(ints(out.get("slots")), found.slots())
                && Arrays.equals(ints(out.get("class_ids")), found.classIds())
                && near(doubles(out.get("confidences")), found.confidence(), 1e-6)
                && near(doubles(out.get("boxes")), found.boxesXyxy(), 1e-3);
    }

    private static boolean near(double[] expected, double[] found, double tolerance) {
        boolean near = expected.length == found.length;
        for (int i = 0; near && i < expected.length; i++) {
            near = Math.abs(expected[i] - found[i]) <= tolerance * Math.max(1, Math.abs(expected[i]));
        }
        return near;
    }

    // ---- the files

    private static int number(Map<?, ?> values, String key) {
        return ((Number) values.get(key)).intValue();
    }

    private static double real(Map<?, ?> values, String key) {
        return ((Number) values.get(key)).doubleValue();
    }

    private Map<?, ?> entry(Object name) {
        return (Map<?, ?>) ((Map<?, ?>) index.get("files")).get(name);
    }

    private byte[] bytes(Object name) throws IOException {
        return Files.readAllBytes(VECTORS.resolve((String) entry(name).get("file")));
    }

    private ByteBuffer values(Object name) throws IOException {
        return ByteBuffer.wrap(bytes(name)).order(ByteOrder.LITTLE_ENDIAN);
    }

    private int[] ints(Object name) throws IOException {
        int[] found = new int[values(name).remaining() / Integer.BYTES];
        values(name).asIntBuffer().get(found);
        return found;
    }

    private float[] floats(Object name) throws IOException {
        float[] found = new float[values(name).remaining() / Float.BYTES];
        values(name).asFloatBuffer().get(found);
        return found;
    }

    private double[] doubles(Object name) throws IOException {
        double[] found = new double[values(name).remaining() / Double.BYTES];
        values(name).asDoubleBuffer().get(found);
        return found;
    }

    private RgbImage image(Object name) throws IOException {
        List<?> shape = (List<?>) entry(name).get("shape");
        return new RgbImage(((Number) shape.get(1)).intValue(), ((Number) shape.get(0)).intValue(), bytes(name));
    }
}
