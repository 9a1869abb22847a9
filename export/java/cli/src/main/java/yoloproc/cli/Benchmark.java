package yoloproc.cli;

import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;

import yoloproc.Detector;
import yoloproc.Grid;
import yoloproc.LabelCodec;
import yoloproc.Letterbox;
import yoloproc.ModelSpec;
import yoloproc.NonMaxSuppression;
import yoloproc.Options;
import yoloproc.RgbImage;

/**
 * What a picture costs besides the network: {@code java -cp yolo-proc.jar yoloproc.cli.Benchmark MODEL [SECONDS]}.
 *
 * <p>All on one thread; medians of runs that take turns, so that a slow moment meets all of them.
 */
public final class Benchmark {

    private Benchmark() {
    }

    /** One thing that is measured. */
    private interface Step {
        void run() throws Exception;
    }

    /** Measures and prints. */
    public static void main(String[] words) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        if (words.length < 1) {
            out.println("expected a model with bytes as input, found nothing: Benchmark MODEL [SECONDS]");
            System.exit(Main.MISTAKE);
        }
        Path model = Path.of(words[0]);
        double seconds = words.length > 1 ? Double.parseDouble(words[1]) : 5;
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (Detector detector = Detector.load(model, Options.DEFAULT.threads(1));
                OrtSession.SessionOptions options = single();
                OrtSession session = environment.createSession(Files.readAllBytes(model), options)) {
            ModelSpec.Input input = detector.spec().input();
            if (input.type() != ModelSpec.Type.UINT8) {
                out.println(model + ": expected a model with bytes as input, found " + input.type());
                System.exit(Main.MISTAKE);
            }
            RgbImage picture = noise(input.width(), input.height());
            ByteBuffer bytes = ByteBuffer.allocateDirect(picture.rgb().length).order(ByteOrder.nativeOrder());
            bytes.put(0, picture.rgb());
            RgbImage large = noise(1920, 1080);
            Letterbox box = Letterbox.of(1920, 1080, input.width(), input.height());
            byte[] frame = new byte[picture.rgb().length];
            LabelCodec codec = new LabelCodec(List.of(new Grid(8, 100, 100, List.of(new Grid.Anchor(40, 40)))), 3);
            float[] logits = logits(codec);
            try (OnnxTensor tensor = OnnxTensor.createTensor(environment, bytes, input.shape(1), OnnxJavaType.UINT8)) {
                double[] median = medians(seconds, () -> session.run(Map.of(input.name(), tensor)).close(),
                        () -> detector.detect(picture), () -> box.apply(large.rgb(), frame), () -> boxes(codec, logits));
                String[] names = {"bare run of the network", "picture of the network's size to boxes",
                    "letterbox of 1920 x 1080", "boxes of 10,000 slots, 100 sure"};
                for (int i = 0; i < names.length; i++) {
                    out.println(String.format(Locale.ROOT, "%-40s %9.3f ms   %.3f of the bare run", names[i],
                            median[i] * 1e3, median[i] / median[0]));
                }
            }
        }
        System.exit(Main.DONE);
    }

    private static OrtSession.SessionOptions single() throws Exception {
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        options.setIntraOpNumThreads(1);
        return options;
    }

    private static RgbImage noise(int width, int height) {
        byte[] rgb = new byte[3 * width * height];
        new Random(1).nextBytes(rgb);
        return new RgbImage(width, height, rgb);
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

    private static void boxes(LabelCodec codec, float[] logits) {
        LabelCodec.Candidates found = codec.decode(logits, 0.65);
        NonMaxSuppression.kept(found.boxesXyxy(), found.classIds(), 0.4, 300);
    }

    /** Seconds of each step. */
    private static double[] medians(double seconds, Step... steps) throws Exception {
        double[][] times = new double[steps.length][100_000];
        int round = 0;
        int warm = 0;
        long end = System.nanoTime() + (long) (seconds * 1e9);
        long measured = System.nanoTime() + (long) (seconds * 0.3e9); // before, the JVM compiles
        while ((System.nanoTime() < end || round == 0) && round < 100_000) {
            for (int step = 0; step < steps.length; step++) {
                long start = System.nanoTime();
                steps[step].run();
                times[step][round] = (System.nanoTime() - start) * 1e-9;
            }
            round++;
            warm = System.nanoTime() < measured ? round : warm;
        }
        double[] medians = new double[steps.length];
        for (int step = 0; step < steps.length; step++) {
            double[] sorted = Arrays.copyOfRange(times[step], Math.min(warm, round - 1), round);
            Arrays.sort(sorted);
            medians[step] = sorted[sorted.length / 2];
        }
        return medians;
    }
}
