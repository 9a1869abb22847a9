package yoloproc.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import javax.imageio.ImageIO;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import yoloproc.Json;
import yoloproc.Pictures;
import yoloproc.RgbImage;
import yoloproc.Scredit;

class DetectCommandTest {

    private static final Path MODEL = Path.of("..", "detector", "src", "test", "resources", "models", "cells.onnx");

    @TempDir
    Path folder;
    private Path red;
    private Path black;

    @BeforeEach
    void writePictures() throws IOException {
        red = Files.write(folder.resolve("red.png"), DrawnPictures.png(picture(0xff0000)));
        black = Files.write(folder.resolve("black.png"), DrawnPictures.png(picture(0)));
    }

    /** 64 x 64, black but for the right upper quarter. */
    private static RgbImage picture(int colour) {
        byte[] rgb = new byte[64 * 64 * 3];
        for (int y = 0; y < 32; y++) {
            for (int x = 32; x < 64; x++) {
                rgb[(y * 64 + x) * 3] = (byte) (colour >> 16);
            }
        }
        return new RgbImage(64, 64, rgb);
    }

    @Test
    void linesForPeople() {
        CommandLine ran = CommandLine.run("detect", MODEL, black, red);
        assertEquals(black + ": nothing found\n" + red + ": 1 found\n  red 1.00 [32.0, 0.0, 64.0, 32.0]\n",
                ran.out().replace(System.lineSeparator(), "\n"));
        assertEquals(0, ran.code());
        assertEquals("", ran.err());
    }

    @Test
    void jsonOfPicturesAndOfThoseThatCannotBeRead() throws IOException {
        Path missing = folder.resolve("m\u00fcssing.png");
        CommandLine ran = CommandLine.run("detect", "--json", MODEL, red, missing, "--", black);
        assertEquals(0, ran.code());
        String error = missing + ": expected a picture, found no such file";
        List<Double> box = List.of(32.0, 0.0, 64.0, 32.0);
        Object expected = Json.read(Json.write(List.of(
                Map.of("file", red.toString(), "width", 64, "height", 64, "detections",
                        List.of(Map.of("class_id", 0, "label", "red", "confidence", 0.999938, "box", box))),
                Map.of("file", missing.toString(), "error", error),
                Map.of("file", black.toString(), "width", 64, "height", 64, "detections", List.of()))), "expected");
        assertEquals(expected, Json.read(ran.out(), "found"));
        assertEquals("yolo-proc: " + error, ran.err().strip());
    }

    @Test
    void whatTheLimitsLeaveOutIsCounted() throws IOException {
        Path both = Files.write(folder.resolve("both.png"), DrawnPictures.png(twoColours()));
        CommandLine ran = CommandLine.run("detect", MODEL, red, both, both, "--max-detections", "1");
        assertEquals("pictures with more than 1 objects: 2; the rest is left out (--max-detections)",
                ran.err().strip());
        assertEquals("", CommandLine.run("detect", MODEL, red, both, "--max-detections", "2").err());
        Path few = MODEL.resolveSibling("few.onnx");
        assertEquals("pictures with more than 1 candidates: 1; the least confident are not looked at (--confidence)",
                CommandLine.run("detect", few, red, both).err().strip());
    }

    /** 64 x 64: the right upper quarter red, the left lower one blue. */
    private static RgbImage twoColours() {
        byte[] rgb = new byte[64 * 64 * 3];
        for (int at = 0; at < 64 * 64; at++) {
            int x = at % 64;
            int y = at / 64;
            rgb[at * 3] = (byte) (x >= 32 && y < 32 ? 255 : 0);
            rgb[at * 3 + 2] = (byte) (x < 32 && y >= 32 ? 255 : 0);
        }
        return new RgbImage(64, 64, rgb);
    }

    @Test
    void aNetworkThatGivesNaNEndsNoArray() throws IOException {
        Path nan = MODEL.resolveSibling("nan.onnx");
        for (String command : new String[] {"detect", "trace"}) {
            CommandLine ran = command.equals("trace") ? CommandLine.run(command, nan, red, black)
                    : CommandLine.run(command, nan, red, black, "--json");
            assertEquals(2, ran.code());
            List<?> list = (List<?>) Json.read(ran.out(), "found");
            assertEquals(2, list.size());
            assertTrue(((Map<?, ?>) list.get(0)).get("error").toString().contains("found NaN"), ran.out());
            assertEquals(2, ran.err().lines().count());
        }
    }

    @Test
    void namesAreToldApart() {
        assertEquals("caf\u00e9/\\udce9 \ud83d\ude00\\udcff\\udcc3",
                Names.decoded(("caf\u00c3\u00a9/\u00e9 \u00f0\u009f\u0098\u0080\u00ff\u00c3").getBytes(StandardCharsets.ISO_8859_1)));
        assertEquals("a/b\\x0ac\\x1b[2J\u00e9", Names.onALine(Path.of("a", "b\nc\u001b[2J\u00e9")));
        assertEquals("a/\u00e9", Names.shown(Path.of("a", "\u00e9")).replace('\\', '/'));
        // A name with the sign that stands for what cannot be read, as it is.
        Path odd = Path.of("deep", "\ufffd x%41.png");
        assertEquals("deep/\ufffd x%41.png", Names.shown(odd).replace('\\', '/'));
        assertEquals(odd.toAbsolutePath().toString(), Names.shown(odd.toAbsolutePath()));
    }

    @Test
    void anOutputThatFailsIsTold() {
        for (String[] each : new String[][] {{"No space left on device", "2"}, {"Broken pipe", "141"}}) {
            Output output = new Output(new OutputStream() {
                @Override
                public void write(int one) throws IOException {
                    throw new IOException(each[0]);
                }
            });
            PrintStream out = new PrintStream(output, false, StandardCharsets.UTF_8);
            ByteArrayOutputStream err = new ByteArrayOutputStream();
            int code = Main.run(List.of("detect", MODEL.toString(), black.toString(), red.toString()), out, System.err);
            assertEquals(0, code);
            assertEquals(Integer.parseInt(each[1]), Main.finish(output, code, new PrintStream(err, true)));
            assertEquals(each[1].equals("2") ? "yolo-proc: standard output: cannot be written: " + each[0] : "",
                    err.toString(StandardCharsets.UTF_8).strip());
        }
        Output fine = new Output(OutputStream.nullOutputStream());
        assertEquals(1, Main.finish(fine, 1, System.err));
    }

    @Test
    void nothingButUnreadablePicturesIsAMistake() throws IOException {
        Path text = Files.writeString(folder.resolve("text.jpg"), "no picture");
        CommandLine ran = CommandLine.run("detect", MODEL, text, "--json");
        assertEquals(2, ran.code());
        assertEquals(1, ((List<?>) Json.read(ran.out(), "found")).size());
        assertEquals(1, ran.err().lines().count());
    }

    @Test
    void foldersAreTakenByNameAndNotSearchedDeeper() throws IOException {
        Files.writeString(folder.resolve("notes.txt"), "no picture");
        Files.createDirectory(folder.resolve("deeper.png"));
        CommandLine ran = CommandLine.run("detect", MODEL, folder);
        assertEquals(0, ran.code());
        assertEquals(List.of("black.png: nothing found", "red.png: 1 found"),
                ran.out().lines().filter(line -> !line.startsWith(" "))
                        .map(line -> line.substring(folder.toString().length() + 1)).toList());
        Path empty = Files.createDirectory(folder.resolve("empty"));
        CommandLine none = CommandLine.run("detect", MODEL, empty);
        assertEquals(2, none.code());
        assertTrue(none.err().contains("expected pictures in the folder"), none.err());
    }

    @Test
    void whatIsPassedOverIsTold() throws IOException {
        for (String name : new String[] {"a.webp", "b.HEIC", "c.heic", ".hidden.gif", "notes.txt"}) {
            Files.writeString(folder.resolve(name), "some");
        }
        Files.copy(red, folder.resolve("d.APNG"));
        Files.createDirectory(folder.resolve("inside"));
        CommandLine ran = CommandLine.run("detect", MODEL, folder);
        assertEquals(0, ran.code());
        assertTrue(ran.out().contains("d.APNG: "), ran.out());
        assertTrue(ran.err().contains("3 files are pictures of a kind that is not read: .heic 2, .webp 1 (first: "
                + folder.resolve("a.webp") + "); convert them to PNG or JPEG"), ran.err());
        assertTrue(ran.err().contains("1 folder inside is not searched (first: " + folder.resolve("inside")), ran.err());
    }

    @Test
    void picturesOf12BitsAreToldAndReadAsTheUserSays() throws IOException {
        BufferedImage image = new BufferedImage(32, 32, BufferedImage.TYPE_USHORT_GRAY);
        image.getRaster().setSample(3, 4, 0, 4095);
        Path file = folder.resolve("camera.png");
        assertTrue(ImageIO.write(image, "png", file.toFile()));
        CommandLine ran = CommandLine.run("detect", MODEL, file);
        assertTrue(ran.err().contains("1 of 1 pictures of 16 bits a sample use 12 of them or fewer (first: " + file
                + ") and are read dark; if their camera has 12 bits, say so: --bit-depth 12"), ran.err());
        assertEquals("", CommandLine.run("detect", MODEL, file, "--bit-depth", "12").err());
        CommandLine few = CommandLine.run("detect", MODEL, file, "--bit-depth", "10");
        assertEquals(2, few.code());
        assertTrue(few.err().contains("samples of at most 1,023, as a bit depth of 10 has them, found 4,095"), few.err());
        assertTrue(CommandLine.run("detect", MODEL, file, "--bit-depth", "17").err()
                .contains("--bit-depth: expected a number from 8 to 16, found 17"));
    }

    @Test
    void boxesAreDrawnIntoCopies() throws IOException {
        Path file = folder.resolve("new").resolve("out.png");
        assertEquals(0, CommandLine.run("detect", MODEL, red, "--annotated", file).code());
        RgbImage drawn = Pictures.read(file);
        assertEquals(0xe6194b, colour(drawn, 32, 20)); // the left side of the box, in the colour of class 0
        assertEquals(0xff0000, colour(drawn, 34, 20)); // inside
        assertEquals(0x000000, colour(drawn, 31, 20)); // outside
        Path annotated = folder.resolve("drawn");
        assertEquals(0, CommandLine.run("detect", MODEL, folder, "--annotated", annotated).code());
        assertArrayEquals(drawn.rgb(), Pictures.read(annotated.resolve("red.png")).rgb());
        assertArrayEquals(picture(0).rgb(), Pictures.read(annotated.resolve("black.png")).rgb());
        assertArrayEquals(picture(0xff0000).rgb(), Pictures.read(red).rgb());
    }

    private static int colour(RgbImage picture, int x, int y) {
        int at = (y * picture.width() + x) * 3;
        byte[] rgb = picture.rgb();
        return (rgb[at] & 255) << 16 | (rgb[at + 1] & 255) << 8 | rgb[at + 2] & 255;
    }

    @Test
    void annotatedPicturesNeverReplaceTheirSource() throws IOException {
        byte[] before = Files.readAllBytes(red);
        assertEquals(2, CommandLine.run("detect", MODEL, red, "--annotated", red).code());
        assertEquals(2, CommandLine.run("detect", MODEL, red, "--annotated", folder).code());
        CommandLine two = CommandLine.run("detect", MODEL, red, black, "--annotated", folder.resolve("a.png"));
        assertEquals(2, two.code());
        assertTrue(two.err().contains("expected a folder for several pictures"), two.err());
        assertArrayEquals(before, Files.readAllBytes(red));
    }

    @Test
    void noFontIsNeeded() throws Exception {
        // A JVM that fails as soon as anything asks for a font.
        Path file = folder.resolve("out.png");
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        Process process = new ProcessBuilder(java, "-Dsun.font.fontmanager=no.such.Manager", "-cp",
                System.getProperty("java.class.path"), "yoloproc.cli.Main", "detect", MODEL.toString(), red.toString(),
                "--annotated", file.toString()).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), said);
        assertTrue(Files.exists(file));
    }

    @Test
    void screditProjectsHaveTheirPictures() throws IOException {
        Path project = folder.resolve("project");
        assertEquals(0, CommandLine.run("detect", MODEL, red, black, "--scredit", project).code());
        assertEquals("{\"items\":[{\"bounds\":[32,0,32,32],\"p\":{\"category\":0,\"confidence\":100}}],"
                + "\"usage\":\"nominal\",\"widgets\":{}}", Files.readString(project.resolve("annotations/red.json")));
        assertEquals(List.of(), Scredit.read(project.resolve("annotations/black.json")).items());
        assertArrayEquals(Files.readAllBytes(red), Files.readAllBytes(project.resolve("red.png")));
    }

    @Test
    void scriptsOfPeopleAreKept() throws IOException {
        Path script = folder.resolve("annotations").resolve("red.json");
        Files.createDirectories(script.getParent());
        Files.writeString(script, "{}");
        CommandLine ran = CommandLine.run("detect", MODEL, red, "--scredit", folder);
        assertEquals(2, ran.code());
        assertTrue(ran.err().contains("expected no script yet"), ran.err());
        assertEquals("{}", Files.readString(script));
        Path dots = Files.copy(red, folder.resolve("a.b.png"));
        assertTrue(CommandLine.run("detect", MODEL, dots, "--scredit", folder).err().contains("one dot"));
    }

    @Test
    void turnedPicturesAreWrittenUpright() throws IOException {
        // The editor knows nothing of EXIF, so that it must get what the boxes mean.
        List<Path> turned;
        try (var files = Files.list(CommandLine.VECTORS)) {
            turned = files.filter(file -> file.getFileName().toString().matches(".*exif_6.*\\.jpe?g")).toList();
        }
        assertFalse(turned.isEmpty());
        Path picture = Files.copy(turned.get(0), folder.resolve("turned.jpg"));
        Path project = folder.resolve("project");
        assertEquals(0, CommandLine.run("detect", MODEL, picture, "--scredit", project).code());
        assertFalse(Files.exists(project.resolve("turned.jpg")));
        assertArrayEquals(Pictures.read(picture).rgb(), Pictures.read(project.resolve("turned.png")).rgb());
        assertTrue(Files.exists(project.resolve("annotations").resolve("turned.json")));
    }

    @Test
    void thresholdsReachTheDetector() {
        CommandLine ran = CommandLine.run("detect", MODEL, red, "--confidence", "1", "--threads=1", "--agnostic");
        assertEquals(red + ": nothing found", ran.out().strip());
        assertEquals(4, CommandLine.run("detect", MODEL, red, "--confidence=0", "--max-iou", "1").out().lines()
                .filter(line -> line.startsWith("  ")).count());
        assertEquals(1, CommandLine.run("detect", MODEL, red, "--confidence=0", "--max-detections", "1").out().lines()
                .filter(line -> line.startsWith("  ")).count());
    }

    @Test
    void mistakesAreToldInOneLine() {
        List<List<Object>> mistakes = List.of(List.of("detekt"), List.of("detect"), List.of("detect", MODEL),
                List.of("detect", MODEL, red, "--confidence"), List.of("detect", MODEL, red, "--confidence", "two"),
                List.of("detect", MODEL, red, "--confidence", "2"), List.of("detect", MODEL, red, "--threads", "1.5"),
                List.of("detect", MODEL, red, "--json", "--json"), List.of("detect", MODEL, red, "--json=1"),
                List.of("detect", MODEL, red, "--what"), List.of("detect", red, red), List.of("detect", "none", red),
                List.of("detect", MODEL, red, "--scredit", red), List.of("detect", MODEL, red, "--annotated", "a.jpg"),
                List.of("describe"), List.of("describe", red), List.of("verify"), List.of("verify", folder));
        for (List<Object> words : mistakes) {
            CommandLine ran = CommandLine.run(words.toArray());
            assertEquals(2, ran.code(), words::toString);
            assertEquals(1, ran.err().lines().count(), ran::err);
            assertTrue(ran.err().startsWith("yolo-proc: "), ran::err);
            assertEquals("", ran.out());
        }
        assertEquals(2, CommandLine.run().code());
        assertEquals(0, CommandLine.run("--help").code());
        assertTrue(CommandLine.run("--help").out().contains("verify FOLDER"));
    }

    @Test
    void namesThatNoFileCanHave() {
        CommandLine ran = CommandLine.run("detect", MODEL, "a\0");
        assertEquals(2, ran.code());
        assertTrue(ran.err().strip().endsWith("found a name that none can have"), ran.err());
        CommandLine beyond = CommandLine.run("detect", MODEL, "\u00e4\0"); // as any such letter is where the locale is C
        assertEquals(2, beyond.code());
        assertTrue(beyond.err().contains("try LC_ALL=C.UTF-8"), beyond.err());
    }

    @Test
    void valuesOutOfRangeAreToldByTheirFlag() {
        for (String flag : List.of("--confidence", "--max-iou", "--max-detections", "--threads")) {
            CommandLine ran = CommandLine.run("detect", MODEL, red, flag, "-1");
            assertEquals(2, ran.code());
            assertTrue(ran.err().startsWith("yolo-proc: " + flag + ": expected "), ran.err());
            assertTrue(ran.err().contains("found -1"), ran.err());
        }
    }

    @Test
    void describe() {
        CommandLine ran = CommandLine.run("describe", MODEL);
        assertEquals(0, ran.code());
        assertTrue(ran.out().contains("classes  2: red, blue"), ran.out());
        assertTrue(ran.out().contains("uint8 nhwc, N pictures of 32 x 32"), ran.out());
        assertTrue(ran.out().contains("confidence 0.65, max IoU 0.4"), ran.out());
    }

    @Test
    void everyGlyphIsWhole() {
        assertEquals("ABC AO?.-1", TinyFont.shown("abc \u00e4\u00f6\u4e2d.-1"));
        assertEquals("", TinyFont.shown(""));
        for (char sign = ' '; sign < 127; sign++) {
            String shown = TinyFont.shown(String.valueOf(sign));
            assertEquals(1, shown.length());
            int dots = 0;
            for (int i = 0; i < TinyFont.WIDTH * TinyFont.HEIGHT; i++) {
                dots += TinyFont.dot(shown.charAt(0), i % TinyFont.WIDTH, i / TinyFont.WIDTH) ? 1 : 0;
            }
            assertEquals(sign == ' ', dots == 0);
        }
        assertTrue(Arrays.asList("I", "?").contains(TinyFont.shown("i"))); // in Turkish too
    }

    @Test
    void digitsAreToldApart() {
        for (char one = '0'; one <= '9'; one++) {
            for (char other = '0'; other < one; other++) {
                int apart = 0;
                for (int i = 0; i < TinyFont.WIDTH * TinyFont.HEIGHT; i++) {
                    int column = i % TinyFont.WIDTH;
                    int row = i / TinyFont.WIDTH;
                    apart += TinyFont.dot(one, column, row) == TinyFont.dot(other, column, row) ? 0 : 1;
                }
                int least = one == '9' && other == '3' ? 4 : 2; // of 0.99 it must be seen that it is not 0.33
                assertTrue(apart >= least, one + " and " + other + " differ in " + apart);
            }
        }
    }
}
