package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.zip.CRC32;

import javax.imageio.IIOImage;
import javax.imageio.ImageIO;
import javax.imageio.ImageWriteParam;
import javax.imageio.ImageWriter;
import javax.imageio.stream.MemoryCacheImageOutputStream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files that claim more than they hold, JPEGs of endless scans; and no honest file is refused. */
class PictureCostsTest {

    private static final int SIDE = 2500;

    private static BufferedImage plain(int type, int side) {
        BufferedImage image = new BufferedImage(side, side, type);
        Graphics2D brush = image.createGraphics();
        brush.setColor(type == BufferedImage.TYPE_BYTE_BINARY ? Color.WHITE : new Color(200, 100, 50));
        brush.fillRect(0, 0, side, side);
        brush.dispose();
        return image;
    }

    private static byte[] written(BufferedImage image, String format, float quality, boolean progressive)
            throws IOException {
        ImageWriter writer = ImageIO.getImageWritersByFormatName(format).next();
        ImageWriteParam how = writer.getDefaultWriteParam();
        if (quality >= 0) {
            how.setCompressionMode(ImageWriteParam.MODE_EXPLICIT);
            how.setCompressionQuality(quality);
        }
        if (progressive) {
            how.setProgressiveMode(ImageWriteParam.MODE_DEFAULT);
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (MemoryCacheImageOutputStream stream = new MemoryCacheImageOutputStream(out)) {
            writer.setOutput(stream);
            writer.write(null, new IIOImage(image, null, null), how);
        } finally {
            writer.dispose();
        }
        return out.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(strings = {"jpg", "jpg progressive", "png", "bmp"})
    void oneColourIsReadInEveryKind(String kind) throws IOException {
        String format = kind.substring(0, 3);
        for (int type : new int[] {BufferedImage.TYPE_3BYTE_BGR, BufferedImage.TYPE_BYTE_GRAY,
            BufferedImage.TYPE_BYTE_BINARY}) {
            if (format.equals("jpg") && type == BufferedImage.TYPE_BYTE_BINARY) {
                continue;
            }
            byte[] data = written(plain(type, SIDE), format, format.equals("bmp") ? -1 : 0, kind.length() > 3);
            RgbImage found = Pictures.read(data);
            assertEquals(SIDE, found.width());
            assertArrayEquals(Arrays.copyOf(found.rgb(), 3), Arrays.copyOfRange(found.rgb(), found.rgb().length - 3,
                    found.rgb().length));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"jpg", "png", "bmp"})
    void morePixelsThanTheBytesCanHoldAreRefused(String format) throws IOException {
        byte[] data = written(plain(BufferedImage.TYPE_3BYTE_BGR, 16), format, -1, false);
        ByteBuffer bytes = ByteBuffer.wrap(data);
        if (format.equals("png")) {
            bytes.putInt(16, 9999).putInt(20, 9999);
            CRC32 crc = new CRC32();
            crc.update(data, 12, 17);
            bytes.putInt(29, (int) crc.getValue());
        } else if (format.equals("bmp")) {
            bytes.putInt(18, Integer.reverseBytes(9999)).putInt(22, Integer.reverseBytes(9999));
        } else {
            int at = indexOf(data, 0xC0) + 5;
            bytes.putShort(at, (short) 9999).putShort(at + 2, (short) 9999);
        }
        FormatException error = assertThrows(FormatException.class, () -> Pictures.read(data, "a"));
        assertTrue(error.getMessage().matches("a: expected at least [0-9,]+ bytes for 9999 x 9999 pixels, found [0-9,]+"),
                error.getMessage());
        assertEquals("picture", error.reason());
    }

    /** Where a marker of a JPEG begins. */
    private static int indexOf(byte[] data, int marker) {
        for (int at = 0; at < data.length - 1; at++) {
            if ((data[at] & 255) == 0xFF && (data[at + 1] & 255) == marker) {
                return at;
            }
        }
        throw new AssertionError("no marker " + marker);
    }

    /** A JPEG whose last scan comes again and again. */
    private static byte[] scans(int count) throws IOException {
        byte[] data = written(plain(BufferedImage.TYPE_BYTE_GRAY, 16), "jpg", 0.9f, true);
        int last = 0;
        int there = 0;
        for (int at = 0; at < data.length - 1; at++) {
            if ((data[at] & 255) == 0xFF && (data[at + 1] & 255) == 0xDA) {
                last = at;
                there++;
            }
        }
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(data, 0, last);
        for (int i = there; i <= count; i++) {
            all.write(data, last, data.length - 2 - last);
        }
        all.write(0xFF);
        all.write(0xD9);
        return all.toByteArray();
    }

    @Test
    void tooManyScansAreRefused() throws IOException {
        assertEquals(16, Pictures.read(scans(PictureCosts.MAX_SCANS)).width());
        for (int count : new int[] {PictureCosts.MAX_SCANS + 1, 1000}) {
            byte[] data = scans(count);
            FormatException error = assertThrows(FormatException.class, () -> Pictures.read(data, "a.jpg"));
            assertEquals("bomb", error.reason());
            assertEquals("a.jpg: expected a JPEG of at most 100 scans, found more; write it anew", error.getMessage());
        }
    }

    @Test
    void onlyScansCountAsScans() throws IOException {
        byte[] data = written(plain(BufferedImage.TYPE_3BYTE_BGR, 16), "jpg", 0.9f, false);
        ByteBuffer comment = ByteBuffer.allocate(1004).put((byte) 0xFF).put((byte) 0xFE).putShort((short) 1002);
        while (comment.hasRemaining()) {
            comment.put((byte) 0xFF).put((byte) 0xDA);
        }
        int scan = indexOf(data, 0xDA);
        byte[] expected = Pictures.read(data).rgb();
        for (int place : new int[] {2, scan, data.length - 2, data.length}) {
            ByteArrayOutputStream odd = new ByteArrayOutputStream();
            odd.write(data, 0, place);
            odd.writeBytes(comment.array());
            odd.write(data, place, data.length - place);
            assertArrayEquals(expected, Pictures.read(odd.toByteArray()).rgb(), "comment at " + place);
        }
    }

    @Test
    void sparseFilesAreRefusedUnread(@TempDir Path folder) throws IOException {
        Path sparse = folder.resolve("a");
        try (FileChannel file = FileChannel.open(sparse, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE,
                StandardOpenOption.SPARSE)) {
            file.write(ByteBuffer.wrap(new byte[1]), 3L << 30);
        }
        assertEquals("bomb", assertThrows(FormatException.class, () -> Pictures.read(sparse)).reason());
        assertEquals("bomb", assertThrows(FormatException.class, () -> Scredit.read(sparse)).reason());
        Files.move(sparse, folder.resolve("index.json"));
        assertEquals("bomb", assertThrows(FormatException.class, () -> GoldenVectors.read(folder)).reason());
    }

    @Test
    void devicesAreRefused(@TempDir Path folder) throws IOException {
        assumeTrue(Files.exists(Path.of("/dev/zero")), "a device that never ends");
        Path link = Files.createSymbolicLink(folder.resolve("a.png"), Path.of("/dev/zero"));
        assertTrue(assertThrows(FormatException.class, () -> Pictures.read(link)).getMessage().contains("no plain file"));
        assertTrue(assertThrows(FormatException.class, () -> Scredit.read(link)).getMessage().contains("no plain file"));
    }

    @Test
    void foldersAndMissingFilesAreRefused(@TempDir Path folder) {
        for (Path path : new Path[] {folder, folder.resolve("none")}) {
            String found = path.equals(folder) ? "found a folder" : "found no such file";
            assertTrue(assertThrows(FormatException.class, () -> Scredit.read(path)).getMessage().contains(found));
            assertTrue(assertThrows(FormatException.class, () -> Pictures.read(path)).getMessage().contains(found));
        }
    }
}
