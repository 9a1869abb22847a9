package yoloproc;

import java.util.Arrays;
import java.util.Locale;

/**
 * What a picture file's header says, read without decoding.
 *
 * @param format      JPEG, PNG or BMP
 * @param width       as stored, pixels
 * @param height      as stored, pixels
 * @param orientation of EXIF, 1 to 8
 * @param significant bits of a sample that a PNG says it uses; 0 where it says nothing
 * @param leastBytes  that a file of this kind and size has
 */
record PictureHeader(String format, int width, int height, int orientation, int significant, long leastBytes) {

    /** How a PNG begins. */
    static final byte[] PNG_SIGNATURE = {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

    private static final int ORIENTATION = 0x0112; // the tag of EXIF

    /**
     * Reads it.
     *
     * @throws FormatException not a picture, an impossible size, too many pixels, or a kind that is not read
     */
    static PictureHeader read(byte[] data, String where, long maxPixels) throws FormatException {
        PictureBytes bytes = new PictureBytes(data, where);
        PictureHeader header;
        if (bytes.startsWith("\u00ff\u00d8\u00ff")) {
            header = jpeg(bytes);
        } else if (Arrays.equals(PNG_SIGNATURE, 0, 8, data, 0, Math.min(8, data.length))) {
            header = png(bytes);
        } else if (bytes.startsWith("BM")) {
            header = bmp(bytes);
        } else {
            throw bytes.wrong("a picture (JPEG, PNG or BMP)", kind(bytes));
        }
        if (header.width < 1 || header.height < 1) {
            throw bytes.wrong("sides of at least 1 pixel", size(header.width, header.height));
        }
        if ((long) header.width * header.height > maxPixels) {
            throw new FormatException(where, "", "at most " + maxPixels / 1000 / 1000.0 + " megapixels",
                    size(header.width, header.height) + "; make it smaller", "bomb");
        }
        if (data.length < header.leastBytes) {
            throw bytes.wrong(String.format(Locale.ROOT, "at least %,d bytes for %s pixels", header.leastBytes,
                    size(header.width, header.height)), String.format(Locale.ROOT, "%,d", data.length));
        }
        return header;
    }

    private static String kind(PictureBytes bytes) {
        if (bytes.length() == 0) {
            return "an empty file";
        }
        boolean tiff = bytes.startsWith("II*\0") || bytes.startsWith("MM\0*");
        String known = tiff ? "a TIFF" : bytes.startsWith("RIFF") ? "a WebP" : bytes.startsWith("GIF8") ? "a GIF" : "";
        return known.isEmpty() ? "another file" : known + "; convert it to PNG or JPEG";
    }

    static String size(int width, int height) {
        return (width & 0xffffffffL) + " x " + (height & 0xffffffffL);
    }

    private static PictureHeader jpeg(PictureBytes bytes) throws FormatException {
        int[] size = null;
        int orientation = 0;
        for (int at = bytes.segment(2); at >= 0; at = bytes.segment(at + bytes.u16(at + 2) + 2)) {
            int marker = bytes.u8(at + 1);
            int content = at + 4;
            int length = bytes.u16(at + 2) - 2;
            if (marker == 0xE1 && orientation == 0) {
                bytes.need(content, length);
                if (bytes.isAt(content, "Exif\0")) {
                    orientation = exif(bytes, Math.min(content + 6, content + length), content + length);
                }
            } else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC
                    && size == null) {
                int components = bytes.u8(content + 5);
                if (bytes.u8(content) != 8) {
                    throw bytes.wrong("a JPEG of 8 bits", "one of " + bytes.u8(content) + " bits");
                }
                if (components != 1 && components != 3) {
                    throw bytes.wrong("a JPEG in grey or RGB",
                            (components == 4 ? "CMYK" : components + " channels") + "; convert it to RGB");
                }
                size = new int[] {bytes.u16(content + 3), bytes.u16(content + 1), marker};
            }
        }
        if (size == null) {
            throw bytes.wrong("a JPEG with its size", "none");
        }
        long least = PictureCosts.leastJpeg(size[0], size[1], size[2] >= 0xC9);
        return new PictureHeader("JPEG", size[0], size[1], Math.max(orientation, 1), 0, least);
    }

    private static PictureHeader png(PictureBytes bytes) throws FormatException {
        if (bytes.s32(8) != 13 || !bytes.isAt(12, "IHDR")) {
            throw bytes.wrong("a PNG that begins with IHDR", "another");
        }
        int width = bytes.s32(16);
        int height = bytes.s32(20);
        if (width < 0 || height < 0) {
            throw bytes.wrong("a PNG of the standard's size", size(width, height));
        }
        int bits = bytes.u8(24);
        int colour = bytes.u8(25);
        int channels = colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1;
        int orientation = 0; // none yet
        int significant = -1;
        long at = 8;
        while (at + 8 <= bytes.length() && !bytes.isAt((int) at + 4, "IEND")) { // eXIf may stand behind the pixels
            long length = bytes.s32((int) at) & 0xffffffffL;
            int content = (int) at + 8;
            if (bytes.isAt((int) at + 4, "eXIf") && orientation == 0) {
                int start = content + (bytes.isAt(content, "Exif\0\0") ? 6 : 0); // some writers' PNG
                long end = Math.min(content + length, bytes.length()); // a truncated one: decoding will tell
                orientation = exif(bytes, start, (int) Math.max(start, end));
            } else if (bytes.isAt((int) at + 4, "sBIT") && significant < 0) { // of each channel; alpha is the last
                significant = 0;
                boolean whole = length == channels && content + length <= bytes.length();
                for (int i = 0; whole && i < channels - (colour >= 4 ? 1 : 0); i++) {
                    significant = Math.max(significant, bytes.u8(content + i));
                }
            }
            at += 12 + length;
        }
        return new PictureHeader("PNG", width, height, Math.max(orientation, 1), Math.max(significant, 0),
                PictureCosts.leastPng(width, height, bits * channels));
    }

    private static PictureHeader bmp(PictureBytes bytes) throws FormatException {
        boolean old = bytes.le32(14) == 12;
        int width = old ? bytes.le16(18) : bytes.le32(18);
        int height = old ? bytes.le16(20) : bytes.le32(22);
        int rows = Math.abs(height); // negative: from above
        boolean packed = !old && bytes.le32(30) != 0; // refused before it is decoded
        long least = packed ? 0 : PictureCosts.leastBmp(width, rows, bytes.le16(old ? 24 : 28));
        return new PictureHeader("BMP", width, rows, 1, 0, least);
    }

    /** 1 to 8; 1 where EXIF is damaged: it has no say about the pixels. */
    private static int exif(PictureBytes bytes, int from, int to) {
        try {
            PictureBytes exif = bytes.part(from, to);
            boolean little = exif.startsWith("II*\0");
            if (!little && !exif.startsWith("MM\0*")) {
                return 1;
            }
            long at = (little ? exif.le32(4) : exif.s32(4)) & 0xffffffffL;
            if (at > exif.length()) {
                return 1;
            }
            int entries = little ? exif.le16((int) at) : exif.u16((int) at);
            exif.need((int) at + 2, 12 * entries);
            for (int entry = (int) at + 2; entry < at + 2 + 12L * entries; entry += 12) {
                int tag = little ? exif.le16(entry) : exif.u16(entry);
                int type = little ? exif.le16(entry + 2) : exif.u16(entry + 2);
                int count = little ? exif.le32(entry + 4) : exif.s32(entry + 4);
                if (tag == ORIENTATION && count == 1 && (type == 1 || type == 3 || type == 4)) {
                    int value = type == 1 ? exif.u8(entry + 8)
                            : type == 3 ? (little ? exif.le16(entry + 8) : exif.u16(entry + 8))
                            : little ? exif.le32(entry + 8) : exif.s32(entry + 8);
                    return value >= 1 && value <= 8 ? value : 1;
                }
            }
        } catch (FormatException damaged) {
            return 1;
        }
        return 1;
    }
}
