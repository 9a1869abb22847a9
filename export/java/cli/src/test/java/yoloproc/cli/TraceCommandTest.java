package yoloproc.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import yoloproc.Detector;
import yoloproc.Json;
import yoloproc.Letterbox;
import yoloproc.RgbImage;

class TraceCommandTest {

    // Four cells of 16 x 16 pixels; a cell is sure where its mean colour is red.
    private static final Path MODEL = Path.of("..", "detector", "src", "test", "resources", "models", "cells.onnx");

    @TempDir
    Path folder;

    /** 64 x 48, the right half red. */
    private static RgbImage picture() {
        byte[] rgb = new byte[64 * 48 * 3];
        for (int pixel = 0; pixel < 64 * 48; pixel++) {
            rgb[3 * pixel] = (byte) (pixel % 64 < 32 ? 0 : 255);
        }
        return new RgbImage(64, 48, rgb);
    }

    private static String sha256(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }

    private static List<?> list(CommandLine ran) throws IOException {
        return (List<?>) Json.read(ran.out(), "found");
    }

    @Test
    void everyStageIsTold() throws Exception {
        Path file = Files.write(folder.resolve("half.png"), DrawnPictures.png(picture()));
        Path outputs = folder.resolve("new");
        CommandLine ran = CommandLine.run("trace", MODEL, file, "--outputs", outputs);
        assertEquals(0, ran.code(), ran.err());
        Map<?, ?> told = (Map<?, ?>) list(ran).get(0);
        assertEquals(List.of("file", "width", "height", "rgb", "letterboxed", "outputs", "detections"),
                List.copyOf(told.keySet()));
        byte[] frame = Letterbox.of(64, 48, 32, 32).apply(picture().rgb());
        assertEquals(sha256(picture().rgb()), told.get("rgb"));
        assertEquals(sha256(frame), told.get("letterboxed"));
        ByteBuffer stored = ByteBuffer.wrap(Files.readAllBytes(outputs.resolve("half.png.f32")));
        assertEquals("half.png.f32", told.get("outputs"));
        try (Detector detector = Detector.load(MODEL)) {
            float[] values = detector.run(frame);
            float[] found = new float[values.length];
            stored.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(found);
            assertArrayEquals(values, found);
            List<?> detections = (List<?>) told.get("detections");
            assertEquals(detector.detect(picture()).size(), detections.size());
            assertFalse(detections.isEmpty());
            for (Object one : detections) {
                long slot = (Long) ((Map<?, ?>) one).get("slot"); // two cells a row, the right ones red
                assertEquals(1, slot % 2);
            }
        }
    }

    @Test
    void optionsChooseBoxesAsInDetect() throws IOException {
        Path file = Files.write(folder.resolve("half.png"), DrawnPictures.png(picture()));
        CommandLine few = CommandLine.run("trace", MODEL, file, "--max-detections", 1);
        assertEquals(1, ((List<?>) ((Map<?, ?>) list(few).get(0)).get("detections")).size());
        CommandLine all = CommandLine.run("trace", MODEL, file, "--confidence", 0);
        assertTrue(((List<?>) ((Map<?, ?>) list(all).get(0)).get("detections")).size() > 2);
    }

    @Test
    void picturesThatCannotBeReadAreNamed() throws IOException {
        Path file = Files.write(folder.resolve("half.png"), DrawnPictures.png(picture()));
        Path text = Files.writeString(folder.resolve("text.jpg"), "no picture");
        CommandLine ran = CommandLine.run("trace", MODEL, folder);
        assertEquals(0, ran.code());
        assertEquals(List.of("file", "error"), List.copyOf(((Map<?, ?>) list(ran).get(1)).keySet()));
        assertTrue(ran.err().startsWith("yolo-proc: " + text + ": expected a picture"), ran.err());
        assertEquals(2, CommandLine.run("trace", MODEL, text).code());
        Path deeper = Files.createDirectory(folder.resolve("deeper"));
        Path same = Files.copy(file, deeper.resolve("half.png"));
        CommandLine twice = CommandLine.run("trace", MODEL, file, same, "--outputs", folder.resolve("out"));
        assertTrue(twice.err().contains("expected a name of its own"), twice.err());
        CommandLine wrong = CommandLine.run("trace", MODEL, file, "--outputs", text);
        assertEquals(2, wrong.code());
        assertTrue(wrong.err().contains("expected a folder, found a file"), wrong.err());
    }
}
