package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;

import org.junit.jupiter.api.Test;

/** The bounds of fields are those of the Python reader: tests/test_digest.py reads the same file. */
class OnnxFileTest {

    @Test
    void fieldsHaveTheBoundsOfPython() throws IOException {
        byte[] model = Models.bytes("cells");
        ModelSpec spec = OnnxFile.read(model, "m");
        for (String line : lines("/models/fields_behind.txt")) {
            String[] parts = line.split("; ");
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            content.writeBytes(model);
            content.writeBytes(HexFormat.of().parseHex(parts[1]));
            if (parts[0].equals("read")) {
                assertEquals(spec, OnnxFile.read(content.toByteArray(), "m"), line);
            } else {
                FormatException error = assertThrows(FormatException.class,
                        () -> OnnxFile.read(content.toByteArray(), "m"), line);
                assertTrue(error.getMessage().contains("other bytes at"), error.getMessage());
            }
        }
    }

    private static List<String> lines(String name) throws IOException {
        try (InputStream stream = OnnxFileTest.class.getResourceAsStream(name)) {
            return new String(stream.readAllBytes(), StandardCharsets.US_ASCII).lines().toList();
        }
    }
}
