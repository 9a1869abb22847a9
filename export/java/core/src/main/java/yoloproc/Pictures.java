package yoloproc;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.ComponentSampleModel;
import java.awt.image.DataBuffer;
import java.awt.image.DataBufferByte;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Iterator;

import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.MemoryCacheImageInputStream;

/**
 * The one reader of pictures, and the only class that needs the module {@code java.desktop}.
 *
 * <p>A picture is upright RGB of 8 bits, whatever its file holds: EXIF orientation is applied, grey becomes three equal
 * channels, 16 bits v become v &gt;&gt; 8 (but see {@link BitDepth}), alpha is dropped and not composited, colour
 * profiles are ignored. CMYK, damaged and truncated files are refused, and so is a file that costs too much: a header
 * that promises too many pixels, or more than the bytes can hold, or a JPEG of more than 100 scans, before anything is
 * decoded. What a file is says its content, not its suffix: JPEG, PNG or BMP. The bytes are those that Python reads;
 * a JDK with an old decoder may differ for JPEGs whose colours have half the rows and all the columns (4:4:0).
 */
public final class Pictures {

    /** The most pixels that a picture may have: the largest phones take 199.8 megapixels. */
    public static final long MAX_PIXELS = 200_000_000;

    private Pictures() {
    }

    /**
     * The upright picture of a file.
     *
     * @throws FormatException no such file ({@code "missing-image"}), too many pixels ({@code "bomb"}), not a picture,
     *                         a damaged one, or one of a kind that is not read ({@code "picture"})
     * @throws IOException     a file that cannot be read
     */
    public static RgbImage read(Path file) throws IOException {
        return read(file, new BitDepth());
    }

    /**
     * The upright picture of a file.
     *
     * @param depth how 16 bits become 8; it learns what was seen
     * @throws FormatException as in {@link #read(Path)}; a sample that the bit depth does not allow ({@code "value"})
     * @throws IOException     a file that cannot be read
     */
    public static RgbImage read(Path file, BitDepth depth) throws IOException {
        byte[] data = PlainFiles.read(file, PlainFiles.MAX_BYTES, "a picture", "missing-image", "picture");
        return read(data, file.toString(), depth);
    }

    /**
     * The upright picture of a file's bytes.
     *
     * @throws FormatException as in {@link #read(Path)}
     */
    public static RgbImage read(byte[] data) throws FormatException {
        return read(data, "(bytes)");
    }

    /**
     * The upright picture of a file's bytes.
     *
     * @param where what it is, for messages
     * @throws FormatException as in {@link #read(Path)}
     */
    public static RgbImage read(byte[] data, String where) throws FormatException {
        return read(data, where, new BitDepth());
    }

    /**
     * The upright picture of a file's bytes.
     *
     * @param where what it is, for messages
     * @param depth how 16 bits become 8; it learns what was seen
     * @throws FormatException as in {@link #read(Path, BitDepth)}
     */
    public static RgbImage read(byte[] data, String where, BitDepth depth) throws FormatException {
        return read(data, where, depth, MAX_PIXELS);
    }

    static RgbImage read(byte[] data, String where, BitDepth depth, long maxPixels) throws FormatException {
        PictureHeader header = PictureHeader.read(data, where, maxPixels);
        RgbImage stored = switch (header.format()) {
            case "PNG" -> PngDecoder.decode(data, where, header.significant(), depth);
            case "JPEG" -> decode(JpegFile.plain(data, where), where, header);
            default -> decode(checkedBmp(data, where), where, header);
        };
        return stored.upright(header.orientation());
    }

    private static RgbImage decode(byte[] data, String where, PictureHeader header) throws FormatException {
        ImageReader reader = reader(header.format());
        try (MemoryCacheImageInputStream stream = new MemoryCacheImageInputStream(new ByteArrayInputStream(data))) {
            reader.setInput(stream, true, true);
            BufferedImage image = reader.read(0);
            if (image.getWidth() != header.width() || image.getHeight() != header.height()) {
                throw new FormatException(where, "",
                        PictureHeader.size(header.width(), header.height()) + " pixels, as the header says",
                        PictureHeader.size(image.getWidth(), image.getHeight()), "picture");
            }
            RgbImage whole = inPlace(image);
            return whole == null ? of(image) : whole;
        } catch (FormatException error) {
            throw error;
        } catch (IOException | RuntimeException error) { // the decoders let both through when a file is damaged
            String told = String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
            throw new FormatException(where, "", "a readable " + header.format(), "damaged content (" + told + ")",
                    "picture");
        } finally {
            reader.dispose();
        }
    }

    /** The JDK's own reader: others, where there are any, decode to other bytes. */
    private static ImageReader reader(String format) {
        ImageReader found = null;
        Iterator<ImageReader> readers = ImageIO.getImageReadersByFormatName(format);
        while (readers.hasNext()) {
            ImageReader reader = readers.next();
            if (found == null || reader.getClass().getName().startsWith("com.sun.imageio.")) {
                found = reader;
            }
        }
        if (found == null) {
            throw new IllegalStateException("expected a JDK that reads " + format + ", found one that does not");
        }
        return found;
    }

    /** A picture that nobody else has, in the memory that it lies in, if it is of the usual layout; else null. */
    private static RgbImage inPlace(BufferedImage image) {
        if (image.getType() != BufferedImage.TYPE_3BYTE_BGR
                || !(image.getRaster().getDataBuffer() instanceof DataBufferByte buffer)) {
            return null;
        }
        byte[] samples = buffer.getData();
        if (samples.length != 3L * image.getWidth() * image.getHeight()) {
            return null;
        }
        for (int at = 0; at < samples.length; at += 3) {
            byte blue = samples[at];
            samples[at] = samples[at + 2];
            samples[at + 2] = blue;
        }
        return new RgbImage(image.getWidth(), image.getHeight(), samples);
    }

    private static byte[] checkedBmp(byte[] data, String where) throws FormatException {
        PictureBytes bytes = new PictureBytes(data, where);
        boolean old = bytes.le32(14) == 12;
        int bits = bytes.le16(old ? 24 : 28);
        int packing = old ? 0 : bytes.le32(30);
        if (packing != 0 || (bits != 1 && bits != 4 && bits != 8 && bits != 24 && bits != 32)) {
            throw bytes.wrong("a BMP of 1, 4, 8, 24 or 32 bits that is not packed",
                    "one of " + bits + " bits, packing " + packing + "; convert it to PNG");
        }
        return data;
    }

    /**
     * A picture as it stands: nothing turns it, since a {@code BufferedImage} does not say how it was taken.
     *
     * <p>Grey is taken from the raster, and colours of any RGB profile as they are.
     *
     * @throws IllegalArgumentException one that is neither grey nor RGB of at most 16 bits, or null
     */
    public static RgbImage of(BufferedImage image) {
        if (image == null) {
            throw new IllegalArgumentException("picture: expected a BufferedImage, found null; ImageIO.read gives null for"
                    + " a file that it does not know");
        }
        ColorModel colours = image.getColorModel();
        int width = image.getWidth();
        int height = image.getHeight();
        if ((long) width * height > MAX_PIXELS) {
            throw new IllegalArgumentException("picture: expected at most " + MAX_PIXELS / 1_000_000
                    + " megapixels, found " + width + " x " + height + "; make it smaller");
        }
        byte[] rgb = new byte[width * height * 3];
        if (colours instanceof IndexColorModel || (colours.hasAlpha() && colours.isAlphaPremultiplied())) {
            fromColours(image, rgb);
            return new RgbImage(width, height, rgb);
        }
        int space = colours.getColorSpace().getType();
        Raster raster = image.getRaster();
        if (space != ColorSpace.TYPE_GRAY && space != ColorSpace.TYPE_RGB) {
            throw new IllegalArgumentException("picture: expected grey or RGB, found a BufferedImage of "
                    + colours.getNumColorComponents() + " other channels; convert it to RGB");
        }
        int type = raster.getSampleModel().getDataType();
        boolean packed = !(raster.getSampleModel() instanceof ComponentSampleModel);
        boolean known = type == DataBuffer.TYPE_BYTE || type == DataBuffer.TYPE_USHORT
                || (type == DataBuffer.TYPE_INT && packed);
        if (!known) {
            throw new IllegalArgumentException("picture: expected samples of 8 or 16 bits, found a BufferedImage of"
                    + " another kind; convert it to RGB");
        }
        if (type == DataBuffer.TYPE_BYTE && !packed) {
            fromBytes(raster, rgb);
        } else {
            fromSamples(raster, colours, rgb);
        }
        return new RgbImage(width, height, rgb);
    }

    /** Palettes, and colours that have been multiplied with their alpha. */
    private static void fromColours(BufferedImage image, byte[] rgb) {
        int[] row = new int[image.getWidth()];
        int to = 0;
        for (int y = 0; y < image.getHeight(); y++) {
            image.getRGB(0, y, row.length, 1, row, 0, row.length);
            for (int colour : row) {
                rgb[to++] = (byte) (colour >> 16);
                rgb[to++] = (byte) (colour >> 8);
                rgb[to++] = (byte) colour;
            }
        }
    }

    /** Channels of 8 bits in bytes of their own: the common case, and the fast one. */
    private static void fromBytes(Raster raster, byte[] rgb) {
        int bands = raster.getNumBands();
        byte[] row = new byte[raster.getWidth() * bands];
        int green = bands < 3 ? 0 : 1;
        int blue = bands < 3 ? 0 : 2;
        int to = 0;
        for (int y = 0; y < raster.getHeight(); y++) {
            raster.getDataElements(raster.getMinX(), raster.getMinY() + y, raster.getWidth(), 1, row);
            for (int at = 0; at < row.length; at += bands, to += 3) {
                rgb[to] = row[at];
                rgb[to + 1] = row[at + green];
                rgb[to + 2] = row[at + blue];
            }
        }
    }

    private static void fromSamples(Raster raster, ColorModel colours, byte[] rgb) {
        int bands = raster.getNumBands();
        int[] row = new int[raster.getWidth() * bands];
        int to = 0;
        for (int y = 0; y < raster.getHeight(); y++) {
            raster.getPixels(raster.getMinX(), raster.getMinY() + y, raster.getWidth(), 1, row);
            for (int at = 0; at < row.length; at += bands) {
                for (int channel = 0; channel < 3; channel++) {
                    int band = bands < 3 ? 0 : channel;
                    rgb[to++] = (byte) eight(row[at + band], colours.getComponentSize(band));
                }
            }
        }
    }

    /** A sample of some bits as one of 8. */
    private static int eight(int value, int bits) {
        if (bits >= 8) {
            return value >> bits - 8;
        }
        int most = (1 << bits) - 1;
        return (value * 255 * 2 + most) / (2 * most); // rounded
    }

    /**
     * The same picture for Java's own drawing and writing.
     *
     * @return of {@code TYPE_3BYTE_BGR}, new
     */
    public static BufferedImage toBufferedImage(RgbImage picture) {
        BufferedImage image = new BufferedImage(picture.width(), picture.height(), BufferedImage.TYPE_3BYTE_BGR);
        image.getRaster().setDataElements(0, 0, picture.width(), picture.height(), picture.rgb());
        return image;
    }
}
