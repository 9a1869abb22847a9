package yoloproc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.function.IntBinaryOperator;

import javax.imageio.ImageIO;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class PicturesTest {

    private static BufferedImage image(int type) {
        BufferedImage image = new BufferedImage(5, 3, type);
        IntBinaryOperator colour = (x, y) -> x * 50 << 16 | y * 100 << 8 | x * y * 20;
        for (int y = 0; y < 3; y++) {
            for (int x = 0; x < 5; x++) {
                image.setRGB(x, y, 0xff000000 | colour.applyAsInt(x, y));
            }
        }
        return image;
    }

    private static byte[] file(String format, BufferedImage image) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        assertTrue(ImageIO.write(image, format, out));
        return out.toByteArray();
    }

    private static byte[] expected() {
        byte[] rgb = new byte[45];
        for (int i = 0; i < 15; i++) {
            rgb[3 * i] = (byte) (i % 5 * 50);
            rgb[3 * i + 1] = (byte) (i / 5 * 100);
            rgb[3 * i + 2] = (byte) (i % 5 * (i / 5) * 20);
        }
        return rgb;
    }

    @ParameterizedTest
    @ValueSource(ints = {BufferedImage.TYPE_INT_RGB, BufferedImage.TYPE_INT_ARGB, BufferedImage.TYPE_INT_BGR,
        BufferedImage.TYPE_3BYTE_BGR, BufferedImage.TYPE_4BYTE_ABGR, BufferedImage.TYPE_INT_ARGB_PRE,
        BufferedImage.TYPE_4BYTE_ABGR_PRE})
    void imagesOfAllKindsGiveTheirColours(int type) {
        RgbImage found = Pictures.of(image(type));
        assertEquals(5, found.width());
        assertArrayEquals(expected(), found.rgb());
        BufferedImage part = image(type).getSubimage(1, 1, 3, 2);
        byte[] rgb = Pictures.of(part).rgb();
        assertArrayEquals(Arrays.copyOfRange(expected(), 18, 27), Arrays.copyOf(rgb, 9));
        assertArrayEquals(Arrays.copyOfRange(expected(), 33, 42), Arrays.copyOfRange(rgb, 9, 18));
    }

    @Test
    void alphaIsDroppedAndNotComposited() {
        BufferedImage image = new BufferedImage(2, 1, BufferedImage.TYPE_INT_ARGB);
        image.setRGB(0, 0, 0x00c86432);
        image.setRGB(1, 0, 0x80010203);
        assertArrayEquals(new byte[] {(byte) 200, 100, 50, 1, 2, 3}, Pictures.of(image).rgb());
    }

    @Test
    void greyIsTakenFromTheRaster() {
        BufferedImage bytes = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_GRAY);
        bytes.getRaster().setSample(0, 0, 0, 64); // getRGB says 137
        bytes.getRaster().setSample(1, 0, 0, 255);
        assertArrayEquals(new byte[] {64, 64, 64, -1, -1, -1}, Pictures.of(bytes).rgb());
        BufferedImage shorts = new BufferedImage(2, 1, BufferedImage.TYPE_USHORT_GRAY);
        shorts.getRaster().setSample(0, 0, 0, 0x40ff);
        shorts.getRaster().setSample(1, 0, 0, 0xff00);
        assertArrayEquals(new byte[] {64, 64, 64, -1, -1, -1}, Pictures.of(shorts).rgb());
    }

    @Test
    void fewBitsAndPalettes() {
        BufferedImage binary = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_BINARY);
        binary.setRGB(1, 0, 0xffffffff);
        assertArrayEquals(new byte[] {0, 0, 0, -1, -1, -1}, Pictures.of(binary).rgb());
        BufferedImage indexed = new BufferedImage(1, 1, BufferedImage.TYPE_BYTE_INDEXED);
        indexed.setRGB(0, 0, 0xffff0033);
        assertArrayEquals(new byte[] {-1, 0, 51}, Pictures.of(indexed).rgb());
        BufferedImage packed = new BufferedImage(1, 1, BufferedImage.TYPE_USHORT_565_RGB);
        packed.getRaster().setDataElements(0, 0, new short[] {(short) (31 << 11 | 32 << 5)});
        assertArrayEquals(new byte[] {-1, (byte) 130, 0}, Pictures.of(packed).rgb());
    }

    @Test
    void otherChannelsAreRefused() {
        ColorSpace cmyk = new ColorSpace(ColorSpace.TYPE_CMYK, 4) {
            private static final long serialVersionUID = 1;

            @Override
            public float[] toRGB(float[] value) {
                return new float[3];
            }

            @Override
            public float[] fromRGB(float[] value) {
                return new float[4];
            }

            @Override
            public float[] toCIEXYZ(float[] value) {
                return new float[3];
            }

            @Override
            public float[] fromCIEXYZ(float[] value) {
                return new float[4];
            }
        };
        ComponentColorModel model = new ComponentColorModel(cmyk, false, false, 1, DataBuffer.TYPE_BYTE);
        WritableRaster raster = model.createCompatibleWritableRaster(2, 2);
        BufferedImage image = new BufferedImage(model, raster, false, null);
        assertThrows(IllegalArgumentException.class, () -> Pictures.of(image));
        ColorSpace srgb = ColorSpace.getInstance(ColorSpace.CS_sRGB);
        ComponentColorModel floats = new ComponentColorModel(srgb, false, false, 1, DataBuffer.TYPE_FLOAT);
        BufferedImage real = new BufferedImage(floats, floats.createCompatibleWritableRaster(2, 2), false, null);
        assertThrows(IllegalArgumentException.class, () -> Pictures.of(real));
    }

    @Test
    void thereAndBack() {
        RgbImage picture = new RgbImage(5, 3, expected());
        BufferedImage image = Pictures.toBufferedImage(picture);
        assertEquals(0xff000000 | 150 << 16 | 100 << 8 | 60, image.getRGB(3, 1));
        assertArrayEquals(expected(), Pictures.of(image).rgb());
    }

    @ParameterizedTest
    @ValueSource(strings = {"png", "bmp"})
    void filesGiveTheirColours(String format, @TempDir Path folder) throws IOException {
        byte[] data = file(format, image(BufferedImage.TYPE_INT_RGB));
        assertArrayEquals(expected(), Pictures.read(data).rgb());
        Path path = folder.resolve("\u00e4\ud83d\ude00.wrong".replace("\u00e4\ud83d\ude00",
                System.getProperty("sun.jnu.encoding", "").contains("UTF") ? "\u00e4\ud83d\ude00" : "a"));
        Files.write(path, data);
        assertArrayEquals(expected(), Pictures.read(path).rgb());
    }

    /** EXIF: (0, 0) of the upright picture and its neighbours, from the corners of a picture of 2 x 3. */
    @ParameterizedTest
    @CsvSource({"1,2,012345", "2,2,103254", "3,2,543210", "4,2,452301", "5,3,024135", "6,3,420531", "7,3,531420",
        "8,3,135024", "0,2,012345", "9,2,012345"})
    void orientations(int orientation, int width, String order) {
        byte[] rgb = new byte[18];
        for (int i = 0; i < 18; i++) {
            rgb[i] = (byte) i;
        }
        RgbImage turned = new RgbImage(2, 3, rgb).upright(orientation);
        assertEquals(width, turned.width());
        for (int i = 0; i < 6; i++) {
            int from = order.charAt(i) - '0';
            assertArrayEquals(Arrays.copyOfRange(rgb, 3 * from, 3 * from + 3),
                    Arrays.copyOfRange(turned.rgb(), 3 * i, 3 * i + 3), "pixel " + i);
        }
    }

    @Test
    void missingFilesFoldersAndOtherFiles(@TempDir Path folder) throws IOException {
        assertEquals("missing-image",
                assertThrows(FormatException.class, () -> Pictures.read(folder.resolve("no.jpg"))).reason());
        assertTrue(message(() -> Pictures.read(folder)).contains("found a folder"));
        for (String text : new String[] {"", "hello", "\u0089PNG", "BM", "GIF89a", "RIFF....WEBP"}) {
            byte[] data = text.getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
            assertTrue(message(() -> Pictures.read(data, "a.png")).startsWith("a.png: expected "), text);
        }
    }

    @Test
    void bombsAreRefusedByTheirHeader() throws IOException {
        byte[] png = file("png", image(BufferedImage.TYPE_INT_RGB));
        png[17] = 1; // the width is 65,541 now, and the checksum wrong, but that comes later
        png[22] = 100;
        FormatException error = assertThrows(FormatException.class, () -> Pictures.read(png, "a.png"));
        assertEquals("bomb", error.reason());
        assertTrue(error.getMessage().contains("at most 200.0 megapixels, found 65541 x 25603"), error.getMessage());
        byte[] small = file("png", image(BufferedImage.TYPE_INT_RGB));
        assertEquals(15, Pictures.read(small, "a.png", new BitDepth(), 15).rgb().length / 3);
        assertThrows(FormatException.class, () -> Pictures.read(small, "a.png", new BitDepth(), 14));
        byte[] none = small.clone();
        none[19] = 0;
        assertTrue(message(() -> Pictures.read(none, "a.png")).contains("found 0 x 3"));
    }

    @Test
    void cmykIsRefused() throws IOException {
        byte[] jpeg = file("jpg", image(BufferedImage.TYPE_INT_RGB));
        for (int at = 0; at < jpeg.length; at++) {
            if ((jpeg[at] & 255) == 0xFF && (jpeg[at + 1] & 255) == 0xC0) {
                jpeg[at + 9] = 4;
                break;
            }
        }
        assertTrue(message(() -> Pictures.read(jpeg, "a.jpg")).contains("found CMYK; convert it to RGB"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"png", "jpg", "bmp"})
    void damagedFilesGiveAPictureOrOneLine(String format) throws IOException {
        byte[] data = file(format, image(BufferedImage.TYPE_INT_RGB));
        for (int length = 0; length < data.length; length++) {
            byte[] cut = Arrays.copyOf(data, length);
            if (!format.equals("bmp")) { // whose padding at the end is no pixel
                assertThrows(FormatException.class, () -> Pictures.read(cut), "cut at " + length);
            }
        }
        Random random = new Random(1);
        int refused = 0;
        for (int round = 0; round < 1500; round++) {
            byte[] changed = data.clone();
            for (int times = random.nextInt(3); times >= 0; times--) {
                changed[random.nextInt(data.length)] = (byte) random.nextInt(256);
            }
            try {
                RgbImage found = Pictures.read(changed, "a", new BitDepth(), 1_000_000);
                assertEquals(found.width() * found.height() * 3, found.rgb().length);
            } catch (FormatException error) {
                refused++;
                assertTrue(error.getMessage().startsWith("a: expected ") && !error.getMessage().contains("\n"),
                        error.getMessage());
            }
        }
        assertTrue(refused > 50, refused + " refused");
    }

    private interface Reading {
        Object read() throws IOException;
    }

    private static String message(Reading reading) {
        return assertThrows(FormatException.class, reading::read).getMessage();
    }

    @Test
    void picturesOfWrongSizesAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> new RgbImage(0, 5, new byte[0]));
        assertThrows(IllegalArgumentException.class, () -> new RgbImage(2, 2, new byte[11]));
    }
}
