package yoloproc;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;

/** PNG files by hand. */
final class TestPng {

    private TestPng() {
    }

    /** A file of rows that begin with their filter's number; {@code before} are chunks in front of the pixels. */
    static byte[] of(int width, int height, int bits, int colour, byte[] rows, byte[] before) {
        ByteBuffer header = ByteBuffer.allocate(13).putInt(width).putInt(height).put((byte) bits).put((byte) colour);
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        file.writeBytes(PictureHeader.PNG_SIGNATURE);
        file.writeBytes(chunk("IHDR", header.array()));
        file.writeBytes(before);
        file.writeBytes(chunk("IDAT", packed(rows)));
        file.writeBytes(chunk("IEND", new byte[0]));
        return file.toByteArray();
    }

    static byte[] chunk(String kind, byte[] content) {
        byte[] name = kind.getBytes(StandardCharsets.US_ASCII);
        CRC32 crc = new CRC32();
        crc.update(name);
        crc.update(content);
        return ByteBuffer.allocate(12 + content.length).putInt(content.length).put(name).put(content)
                .putInt((int) crc.getValue()).array();
    }

    private static byte[] packed(byte[] rows) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (DeflaterOutputStream deflated = new DeflaterOutputStream(out, new Deflater(9))) {
            deflated.write(rows);
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
        return out.toByteArray();
    }
}
