package yoloproc.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import yoloproc.BitDepth;
import yoloproc.Detection;
import yoloproc.Detector;
import yoloproc.InferenceException;
import yoloproc.Json;
import yoloproc.LabelCodec;
import yoloproc.Letterbox;
import yoloproc.ModelSpec;
import yoloproc.NonMaxSuppression;
import yoloproc.Options;
import yoloproc.Pictures;
import yoloproc.RgbImage;

/** What every stage makes of pictures, as digests and raw values: for whoever looks for the place where two differ. */
final class TraceCommand {

    private final PrintStream out;
    private final PrintStream err;
    private final BitDepth depth;
    private final Path outputs; // folder for what the network gives; null for none
    private final Map<String, Path> written = new HashMap<>();
    private int read;
    private String before = "[\n";

    private TraceCommand(Path outputs, BitDepth depth, PrintStream out, PrintStream err) throws Mistake {
        if (outputs != null && Files.exists(outputs) && !Files.isDirectory(outputs)) {
            throw new Mistake("--outputs " + outputs + ": expected a folder, found a file");
        }
        this.outputs = outputs;
        this.depth = depth;
        this.out = out;
        this.err = err;
    }

    static int run(List<String> words, PrintStream out, PrintStream err) throws Mistake, IOException {
        Arguments arguments = new Arguments(words,
                Set.of("--outputs", "--confidence", "--max-iou", "--max-detections", "--threads",
                DetectCommand.DEPTH), Set.of("--agnostic"));
        Options options = DetectCommand.options(arguments);
        PictureFiles pictures = PictureFiles.behindModel("trace", arguments.values());
        TraceCommand command = new TraceCommand(arguments.path("--outputs"), DetectCommand.depth(arguments), out, err);
        pictures.notes().forEach(note -> Main.tell(err, note));
        try (Model model = Model.load(Arguments.path("", arguments.values().get(0)), options)) {
            for (Path file : pictures.files()) {
                command.trace(model, file);
                if (out.checkError()) { // nobody reads on, or the device is full: Main says which
                    break;
                }
            }
        }
        out.println("\n]");
        command.depth.notes(DetectCommand.DEPTH).forEach(note -> Main.tell(err, note));
        return command.read > 0 ? Main.DONE : Main.MISTAKE;
    }

    private void trace(Model model, Path file) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("file", Names.shown(file));
        try {
            stages(model, file, Pictures.read(file, depth), fields);
            read++;
        } catch (IOException | Mistake | InferenceException error) {
            String line = Main.oneLine(error);
            Main.tell(err, line);
            fields.put("error", line);
        }
        out.print(before + Json.write(fields));
        before = ",\n";
    }

    private void stages(Model model, Path file, RgbImage picture, Map<String, Object> fields)
            throws IOException, Mistake {
        ModelSpec.Input input = model.spec().input();
        Letterbox box = Letterbox.of(picture.width(), picture.height(), input.width(), input.height());
        byte[] frame = box.apply(picture.rgb());
        float[] values = model.run(frame);
        String stored = outputs == null ? null : store(file, values);
        fields.put("width", picture.width());
        fields.put("height", picture.height());
        fields.put("rgb", sha256(picture.rgb()));
        fields.put("letterboxed", sha256(frame));
        if (stored != null) {
            fields.put("outputs", stored);
        }
        if (model.detector() != null) {
            fields.put("detections", detections(model.detector(), picture, values));
        } else {
            fields.put("classes", model.classifier().classify(picture).scores().stream()
                    .map(score -> Map.of("class_id", score.classId(), "confidence", score.confidence())).toList());
        }
    }

    /** What an application gets, with the slots that the stages by themselves choose. */
    private static List<Object> detections(Detector detector, RgbImage picture, float[] values) {
        List<Detection> found = detector.detect(picture); // first: it tells of NaN
        LabelCodec codec = detector.spec().codec();
        ModelSpec.Defaults limits = detector.limits();
        LabelCodec.Candidates all = codec.decode(values, 0, limits.confidence(), limits.maxCandidates(),
                detector.spec().output().activated());
        int[] kept = NonMaxSuppression.kept(all.boxesXyxy(), limits.agnostic() ? null : all.classIds(),
                limits.maxIou(), limits.maxDetections());
        if (found.size() != kept.length) {
            throw new IllegalStateException("the stages apart keep " + kept.length + " boxes, the detector "
                    + found.size());
        }
        List<Object> list = new ArrayList<>();
        for (int i = 0; i < kept.length; i++) {
            Detection one = found.get(i);
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("slot", all.slots()[kept[i]]);
            fields.put("class_id", one.classId());
            fields.put("confidence", all.confidence()[kept[i]]);
            fields.put("box", List.of(one.x0(), one.y0(), one.x1(), one.y1()));
            list.add(fields);
        }
        return list;
    }

    /** Writes what the network gave, little-endian; the file's name. */
    private String store(Path picture, float[] values) throws IOException, Mistake {
        String name = picture.getFileName() + ".f32";
        Path other = written.putIfAbsent(name, picture);
        if (other != null) {
            throw new Mistake(picture + ": expected a name of its own in " + outputs + ", found that of " + other);
        }
        ByteBuffer bytes = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asFloatBuffer().put(values);
        Files.createDirectories(outputs);
        Files.write(outputs.resolve(name), bytes.array());
        return name;
    }

    private static String sha256(byte[] data) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
        } catch (NoSuchAlgorithmException error) {
            throw new IllegalStateException("every Java has SHA-256", error);
        }
    }
}
