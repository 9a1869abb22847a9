package yoloproc.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;

import yoloproc.Detection;
import yoloproc.Detector;
import yoloproc.LabelCodec.Grid;
import yoloproc.LabelCodec;
import yoloproc.Letterbox;
import yoloproc.ModelSpec;
import yoloproc.NonMaxSuppression;
import yoloproc.Options;
import yoloproc.Pictures;
import yoloproc.RgbImage;

/**
 * What a picture costs besides the network: {@code java -cp yolo-proc.jar yoloproc.cli.Benchmark MODEL [PICTURE]}.
 *
 * <p>Prints medians of runs that take turns, so that a slow moment meets all of them. With {@code --serve} behind it does
 * what the lines of standard input ask for, one line of answer each, so that another program can take turns with it:
 * <pre>
 * bare | detect | letterbox | boxes N     seconds of N runs in all, on one thread
 * callers T N                             seconds of N detections by T threads that share a detector
 * same T N                                whether each of N detections by T threads gives what one thread gives
 * memory N                                after N detections: bytes of the heap once collected, and resident bytes
 * </pre>
 */
public final class Benchmark implements AutoCloseable {

    private static final int ROUNDS = 40;

    private final Detector detector;
    private final OrtSession.SessionOptions settings;
    private final OrtSession session;
    private final OnnxTensor tensor;
    private final RgbImage picture; // of the network's size
    private final Map<String, Callable<?>> steps = new LinkedHashMap<>();

    private Benchmark(Path model, Path shown) throws Exception {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        detector = Detector.load(model, Options.DEFAULT.threads(1));
        ModelSpec.Input input = detector.spec().input();
        if (input.type() != ModelSpec.Type.UINT8) {
            throw new Mistake(model + ": expected a model with bytes as input, found " + input.type());
        }
        picture = shown == null ? noise(input.width(), input.height()) : fitted(Pictures.read(shown), input);
        settings = new OrtSession.SessionOptions();
        settings.setIntraOpNumThreads(1);
        session = environment.createSession(Files.readAllBytes(model), settings);
        ByteBuffer bytes = ByteBuffer.allocateDirect(picture.rgb().length).order(ByteOrder.nativeOrder());
        bytes.put(0, picture.rgb());
        tensor = OnnxTensor.createTensor(environment, bytes, input.shape(1), OnnxJavaType.UINT8);
        RgbImage large = noise(1920, 1080);
        Letterbox box = Letterbox.of(1920, 1080, input.width(), input.height());
        byte[] frame = new byte[picture.rgb().length];
        LabelCodec codec = new LabelCodec(List.of(new Grid(8, 100, 100, List.of(new Grid.Anchor(40, 40)))), 3);
        float[] logits = logits(codec);
        steps.put("bare", () -> {
            session.run(Map.of(input.name(), tensor)).close();
            return null;
        });
        steps.put("detect", () -> detector.detect(picture));
        steps.put("letterbox", () -> {
            box.apply(large.rgb(), frame);
            return null;
        });
        steps.put("boxes", () -> {
            LabelCodec.Candidates found = codec.decode(logits, 0.65);
            return NonMaxSuppression.kept(found.boxesXyxy(), found.classIds(), 0.4, 300);
        });
    }

    /** Measures and prints. */
    public static void main(String[] words) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        List<String> rest = new ArrayList<>(Arrays.asList(words));
        boolean serve = rest.remove("--serve");
        if (rest.isEmpty() || rest.size() > 2) {
            System.err.println("expected a model with bytes as input, and perhaps a picture: Benchmark MODEL [PICTURE]");
            System.exit(Main.MISTAKE);
        }
        try (Benchmark benchmark = new Benchmark(Path.of(rest.get(0)), rest.size() > 1 ? Path.of(rest.get(1)) : null)) {
            if (serve) {
                benchmark.serve(out);
            } else {
                benchmark.print(out);
            }
        } catch (Mistake | IOException error) {
            System.err.println("yolo-proc: " + Main.oneLine(error));
            System.exit(Main.MISTAKE);
        }
        System.exit(Main.DONE);
    }

    private static RgbImage noise(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        new Random(1).nextBytes(rgb);
        return new RgbImage(width, height, rgb);
    }

    private static RgbImage fitted(RgbImage picture, ModelSpec.Input input) {
        Letterbox box = Letterbox.of(picture.width(), picture.height(), input.width(), input.height());
        return new RgbImage(input.width(), input.height(), box.apply(picture.rgb()));
    }

    /** 10,000 slots of which every hundredth is sure. */
    private static float[] logits(LabelCodec codec) {
        Random random = new Random(2);
        float[] logits = new float[codec.slots() * codec.fields()];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) random.nextGaussian();
        }
        for (int slot = 0; slot < codec.slots(); slot++) {
            logits[slot * codec.fields() + LabelCodec.J] = slot % 100 == 0 ? 2 + random.nextFloat() : -4;
        }
        return logits;
    }

    private void print(PrintStream out) throws Exception {
        Map<String, double[]> taken = new LinkedHashMap<>();
        for (int round = -ROUNDS; round < ROUNDS; round++) { // the first half of them is for the compiler
            for (String name : steps.keySet()) {
                double seconds = seconds(name, 20) / 20;
                taken.computeIfAbsent(name, any -> new double[ROUNDS])[Math.max(round, 0)] = seconds;
            }
        }
        double bare = median(taken.get("bare"));
        out.println(detector.detect(picture).size() + " boxes in the picture");
        for (Map.Entry<String, double[]> entry : taken.entrySet()) {
            String told = switch (entry.getKey()) {
                case "bare" -> "bare run of the network";
                case "detect" -> "picture of the network's size to boxes";
                case "letterbox" -> "letterbox of 1920 x 1080";
                default -> "boxes of 10,000 slots, 100 sure";
            };
            double seconds = median(entry.getValue());
            out.println(String.format(Locale.ROOT, "%-40s %9.3f ms   %.3f of the bare run", told, seconds * 1e3,
                    seconds / bare));
        }
    }

    private static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private void serve(PrintStream out) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        out.println("ready");
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.strip().split(" ");
            int count = Integer.parseInt(words[words.length - 1]);
            out.println(switch (words[0]) {
                case "callers" -> seconds(Integer.parseInt(words[1]), count);
                case "same" -> same(Integer.parseInt(words[1]), count);
                case "memory" -> memory(count);
                default -> seconds(words[0], count);
            });
        }
    }

    private double seconds(String name, int count) throws Exception {
        Callable<?> step = steps.get(name);
        if (step == null) {
            throw new Mistake(name + ": expected one of " + String.join(", ", steps.keySet()));
        }
        long start = System.nanoTime();
        for (int i = 0; i < count; i++) {
            step.call();
        }
        return (System.nanoTime() - start) * 1e-9;
    }

    private double seconds(int callers, int count) throws Exception {
        long start = System.nanoTime();
        share(callers, count);
        return (System.nanoTime() - start) * 1e-9;
    }

    /** Detections by several threads: the boxes of each, in any order. */
    private List<List<Detection>> share(int callers, int count) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(callers);
        try {
            List<Future<List<List<Detection>>>> parts = new ArrayList<>();
            for (int caller = 0; caller < callers; caller++) {
                int own = (count + caller) / callers;
                parts.add(threads.submit(() -> {
                    List<List<Detection>> found = new ArrayList<>();
                    for (int i = 0; i < own; i++) {
                        found.add(detector.detect(picture));
                    }
                    return found;
                }));
            }
            List<List<Detection>> all = new ArrayList<>();
            for (Future<List<List<Detection>>> part : parts) {
                all.addAll(part.get());
            }
            return all;
        } finally {
            threads.shutdown();
        }
    }

    private boolean same(int callers, int count) throws Exception {
        List<Detection> alone = detector.detect(picture);
        List<List<Detection>> shared = share(callers, count);
        return shared.size() == count && shared.stream().allMatch(alone::equals);
    }

    private String memory(int count) throws Exception {
        seconds("detect", count);
        System.gc();
        System.gc();
        long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
        return heap + " " + resident();
    }

    /** Resident bytes as Linux counts them; -1 on another system. */
    private static long resident() throws IOException {
        Path status = Path.of("/proc/self/status");
        if (!Files.exists(status)) {
            return -1;
        }
        String line = Files.readAllLines(status).stream().filter(each -> each.startsWith("VmRSS:")).findFirst()
                .orElseThrow();
        return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
    }

    @Override
    public void close() throws OrtException {
        tensor.close();
        session.close();
        settings.close();
        detector.close();
    }
}
