package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;

import org.junit.jupiter.api.Test;

/** A damaged model is refused before the runtime sees it; the models of the other tests have no digest, as old ones. */
class DigestTest {

    private static final int ENTRY = 64 + 6 + Digest.KEY.length(); // the last bytes of a model: its digest

    private static byte[] flipped(byte[] content, int bit) {
        byte[] damaged = content.clone();
        damaged[bit / 8] ^= (byte) (1 << bit % 8);
        return damaged;
    }

    private static String refused(byte[] content) {
        String told = assertThrows(FormatException.class, () -> Detector.load(content)).getMessage();
        assertFalse(told.contains("\n"), told);
        return told;
    }

    private static byte[] joined(byte[]... parts) {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            all.writeBytes(part);
        }
        return all.toByteArray();
    }

    @Test
    void everyFlipIsRefused() throws IOException {
        byte[] model = Models.bytes("sealed");
        Random random = new Random(1);
        for (int i = 0; i < 60; i++) {
            refused(flipped(model, random.nextInt(8 * model.length)));
        }
        for (int bit = 8 * (model.length - ENTRY); bit < 8 * (model.length - 60); bit++) { // what says that it is there
            refused(flipped(model, bit));
        }
        for (int length = 0; length < model.length; length += 97) {
            refused(Arrays.copyOf(model, length));
        }
        String told = refused(Arrays.copyOf(model, model.length - ENTRY));
        assertTrue(told.contains("expected the file's sha256 at its end, as its metadata says, found none"), told);
        FormatException error = assertThrows(FormatException.class, () -> OnnxFile.read(flipped(model, 999), "m.onnx"));
        assertEquals("damaged", error.reason());
    }

    @Test
    void everyFlipInTheDescriptionIsRefused() throws IOException {
        String text = new String(Models.bytes("sealed"), StandardCharsets.ISO_8859_1);
        String json = text.substring(text.indexOf("{\"digest\""), text.lastIndexOf('}') + 1);
        assertEquals(OnnxFile.read(Models.bytes("cells"), "m"), ModelSpec.read(json, "m"));
        assertEquals(ModelSpec.read(json, "m"), ModelSpec.read(" " + json + "\r\n", "m"));
        byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
        for (int bit = 0; bit < 8 * bytes.length; bit += bit < 200 || bit > 8 * (bytes.length - 90) ? 1 : 37) {
            String damaged = new String(flipped(bytes, bit), StandardCharsets.UTF_8);
            assertThrows(FormatException.class, () -> ModelSpec.read(damaged, "m"), damaged);
        }
        for (int length = 0; length < json.length(); length++) {
            String part = json.substring(0, length);
            assertThrows(FormatException.class, () -> ModelSpec.read(part, "m"));
        }
    }

    @Test
    void aDescriptionThatWasWrittenAnewIsRefused() throws IOException {
        String text = new String(Models.bytes("sealed"), StandardCharsets.ISO_8859_1);
        String json = text.substring(text.indexOf("{\"digest\""), text.lastIndexOf('}') + 1);
        String[] others = {json.replace(",\"", ", \""), json.replace("{\"digest\":\"sha256\",", "{").replace(",\"sha", ", \"sha"),
            json.replace("{\"digest\":", "{ \"digest\":").replaceAll(",\"sha256\".*}", "}")};
        for (String other : others) {
            FormatException error = assertThrows(FormatException.class, () -> ModelSpec.read(other, "m"), other);
            assertEquals("damaged", error.reason());
            assertTrue(error.getMessage().startsWith("m: expected the text "), error.getMessage());
        }
    }

    @Test
    void modelsWithAndWithoutADigestAreRead() throws IOException {
        try (Detector old = Models.load("cells"); Detector sealed = Models.load("sealed")) {
            assertEquals(old.spec(), sealed.spec());
            assertEquals(old.detect(Models.redAndBlue()), sealed.detect(Models.redAndBlue()));
        }
    }

    @Test
    void weightsInOtherFilesAreNotRead() throws IOException {
        byte[] model = Models.bytes("cells");
        // Fields that are merged into the model's: graph { initializer { data_location: 1 } }, a node's attribute.
        byte[] location = {0x3A, 4, 0x2A, 2, 0x70, 1};
        byte[] attribute = {0x3A, 8, 0x0A, 6, 0x2A, 4, 0x2A, 2, 0x6A, 0};
        for (byte[] more : new byte[][] {location, attribute}) {
            String told = refused(joined(model, more));
            assertTrue(told.contains("weights in other files (external data), which are not read"), told);
        }
    }

    @Test
    void filesThatNoExportHas() throws IOException {
        byte[] model = Models.bytes("cells");
        byte[] key = {0x72, 13, 0x0A, 9, 'y', 'o', 'l', 'o', '_', 'p', 'r', 'o', 'c', 0x12, 0};
        String told = refused(joined(model, key));
        assertTrue(told.contains("expected metadata of the key yolo_proc, found 2"), told);
        told = refused(new byte[] {0x08, 10});
        assertTrue(told.contains("no graph in it"), told);
        told = refused(joined(model, new byte[] {0x3A, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 7}));
        assertTrue(told.contains("other bytes at"), told);
        for (byte[] noise : new byte[][] {{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, {0x73}, {0x02, 1, 1}, {0x79, 1}}) {
            refused(joined(model, noise));
        }
        int size = (16 << 20) + 1;
        byte[] text = new byte[size];
        Arrays.fill(text, (byte) ' ');
        byte[] head = joined(new byte[] {0x72}, varint(11 + 5 + size), Arrays.copyOfRange(key, 2, 13), new byte[] {0x12},
                varint(size));
        told = refused(joined(Models.bytes("no_metadata"), head, text));
        assertTrue(told.contains("metadata of at most 16777216 bytes, found 16777217"), told);
    }

    private static byte[] varint(int value) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        int rest = value;
        for (; rest > 127; rest >>>= 7) {
            bytes.write(rest & 127 | 128);
        }
        bytes.write(rest);
        return bytes.toByteArray();
    }
}
