package yoloproc;

import java.util.Locale;
import java.util.zip.CRC32;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * PNG to RGB (ISO/IEC 15948). Only the chunks that make the pixels count: what a file says besides, of profiles,
 * transparency, animation or text, can neither change nor spoil them. Alpha is dropped; of 16 bits the upper 8 stay,
 * or those that a {@link BitDepth} says.
 */
final class PngDecoder {

    // Of the seven passes of an interlaced picture: the first column and row, and the steps between them.
    private static final int[][] PASSES = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4},
        {1, 0, 2, 2}, {0, 1, 1, 2}};
    private static final int[][] WHOLE = {{0, 0, 1, 1}};

    private final byte[] data;
    private final PictureBytes bytes;
    private final int width;
    private final int height;
    private final int bits;
    private final int colour; // 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
    private final int channels;
    private final boolean interlaced;
    private final byte[] palette = new byte[3 * 256]; // what the file leaves out is black
    private final Inflater inflater = new Inflater();
    private final String where;
    private int nextChunk = 8;

    // Of samples of 16 bits:
    private int shift = 8; // to 8 bits
    private int lower; // the bits that nothing but samples as they were taken has, or 0
    private int largest;
    private boolean unscaled; // some sample has such bits

    private PngDecoder(byte[] data, String where) throws FormatException {
        this.data = data;
        this.where = where;
        bytes = new PictureBytes(data, where);
        width = bytes.s32(16);
        height = bytes.s32(20);
        bits = bytes.u8(24);
        colour = bytes.u8(25);
        channels = new int[] {1, 0, 3, 1, 2, 0, 4, 0}[colour & 7];
        interlaced = bytes.u8(28) == 1;
        boolean known = colour < 7 && channels > 0 && (bits == 8 || (bits == 16 && colour != 3)
                || ((bits == 1 || bits == 2 || bits == 4) && (colour == 0 || colour == 3)));
        if (!known || bytes.u8(26) != 0 || bytes.u8(27) != 0 || bytes.u8(28) > 1) {
            throw bytes.wrong("a PNG of the standard's kinds", bits + " bits of kind " + colour);
        }
    }

    /**
     * The pixels of a file whose header has been checked.
     *
     * @param significant bits of a sample that the file says it uses; 0 for nothing
     * @throws FormatException a damaged or truncated file, or samples of more bits than {@code depth} says
     */
    static RgbImage decode(byte[] data, String where, int significant, BitDepth depth) throws FormatException {
        PngDecoder decoder = new PngDecoder(data, where);
        try {
            decoder.checkChunks();
            return decoder.bits == BitDepth.ALL ? decoder.decodeDeep(significant, depth) : decoder.decode();
        } finally {
            decoder.inflater.end();
        }
    }

    /**
     * Of 16 bits a sample. Whether they are scaled shows when all have been seen, as Python's {@code bit_depth.py} says:
     * a sample below 2^n that is scaled has 0 or 1 in its lowest 16 - n bits.
     */
    private RgbImage decodeDeep(int significant, BitDepth depth) throws FormatException {
        boolean says = significant > 8 && significant < BitDepth.ALL - 1;
        shift = depth.bits() > 0 ? depth.bits() - 8 : 8;
        lower = says ? (1 << BitDepth.ALL - significant) - 1 : 0;
        RgbImage found = decode();
        if (depth.bits() > 0) {
            if (largest >> depth.bits() != 0) {
                throw new FormatException(where, "", String.format(Locale.ROOT,
                        "samples of at most %,d, as a bit depth of %d has them", (1 << depth.bits()) - 1, depth.bits()),
                        String.format(Locale.ROOT, "%,d", largest), "value");
            }
        } else if (unscaled && largest >> significant == 0) {
            depth.isSure(where, significant);
            shift = significant - 8;
            nextChunk = 8;
            inflater.reset();
            found = decode();
        } else {
            depth.saw(where, 32 - Integer.numberOfLeadingZeros(largest));
        }
        return found;
    }

    private RgbImage decode() throws FormatException {
        byte[] rgb = new byte[Math.multiplyExact(Math.multiplyExact(width, height), 3)];
        for (int[] pass : interlaced ? PASSES : WHOLE) {
            int columns = (width - pass[0] + pass[2] - 1) / pass[2];
            int rows = (height - pass[1] + pass[3] - 1) / pass[3];
            if (columns < 1 || rows < 1) {
                continue;
            }
            int step = Math.max(1, bits * channels / 8); // from a byte to the one it is predicted from
            int length = (int) (((long) columns * bits * channels + 7) / 8);
            byte[] above = new byte[length + step];
            byte[] row = new byte[length + step]; // the first bytes stay 0: what is left of the first pixel
            byte[] filter = new byte[1];
            for (int y = 0; y < rows; y++) {
                fill(filter, 0, 1);
                fill(row, step, length);
                unfilter(filter[0], row, above, step);
                int to = ((pass[1] + y * pass[3]) * width + pass[0]) * 3;
                write(row, step, columns, rgb, to, pass[2] * 3);
                byte[] swap = above;
                above = row;
                row = swap;
            }
        }
        return new RgbImage(width, height, rgb);
    }

    /** Refuses a file that is not whole, so that no half picture comes out of it; finds the palette. */
    private void checkChunks() throws FormatException {
        boolean hasPalette = false;
        long at = 8;
        boolean end = false;
        while (!end) {
            long length = at + 12 > data.length ? data.length : bytes.s32((int) at) & 0xffffffffL;
            if (at + 12 + length > data.length) {
                throw bytes.wrong("a whole PNG", "one that ends early");
            }
            int chunk = (int) at;
            end = bytes.isAt(chunk + 4, "IEND");
            if ((data[chunk + 4] & 0x20) == 0) { // a critical chunk, by the standard
                boolean header = bytes.isAt(chunk + 4, "IHDR");
                boolean colours = bytes.isAt(chunk + 4, "PLTE");
                if (!(header && chunk == 8) && !colours && !bytes.isAt(chunk + 4, "IDAT") && !end) {
                    throw bytes.wrong("a PNG of the standard's chunks", "another at byte " + chunk);
                }
                CRC32 crc = new CRC32();
                crc.update(data, chunk + 4, (int) length + 4);
                if ((int) crc.getValue() != bytes.s32(chunk + 8 + (int) length)) {
                    throw bytes.wrong("a PNG that is not damaged", "a wrong checksum at byte " + chunk);
                }
                if (colours) {
                    hasPalette = true;
                    System.arraycopy(data, chunk + 8, palette, 0, (int) Math.min(length, palette.length));
                }
            }
            at += 12 + length;
        }
        if (colour == 3 && !hasPalette) {
            throw bytes.wrong("a PNG with its palette", "none");
        }
    }

    /** The next bytes of the pixels' stream, which goes on from one IDAT chunk to the next. */
    private void fill(byte[] to, int offset, int count) throws FormatException {
        int had = 0;
        try {
            while (had < count) {
                int more = inflater.inflate(to, offset + had, count - had);
                had += more;
                if (more == 0 && (inflater.finished() || inflater.needsDictionary() || !feed())) {
                    throw bytes.wrong("a PNG with all its pixels", "fewer");
                }
            }
        } catch (DataFormatException error) {
            throw bytes.wrong("a readable PNG", "damaged content");
        }
    }

    /** Hands over the next IDAT chunk; false if there is none. The chunks have been checked. */
    private boolean feed() throws FormatException {
        while (inflater.needsInput() && nextChunk < data.length && !bytes.isAt(nextChunk + 4, "IEND")) {
            int length = bytes.s32(nextChunk);
            if (bytes.isAt(nextChunk + 4, "IDAT")) {
                inflater.setInput(data, nextChunk + 8, length);
            }
            nextChunk += 12 + length;
        }
        return !inflater.needsInput();
    }

    private void unfilter(int filter, byte[] row, byte[] above, int step) throws FormatException {
        switch (filter) {
            case 0:
                break;
            case 1:
                for (int i = step; i < row.length; i++) {
                    row[i] += row[i - step];
                }
                break;
            case 2:
                for (int i = step; i < row.length; i++) {
                    row[i] += above[i];
                }
                break;
            case 3:
                for (int i = step; i < row.length; i++) {
                    row[i] += (byte) (((row[i - step] & 255) + (above[i] & 255)) >> 1);
                }
                break;
            case 4:
                for (int i = step; i < row.length; i++) {
                    row[i] += (byte) paeth(row[i - step] & 255, above[i] & 255, above[i - step] & 255);
                }
                break;
            default:
                throw bytes.wrong("a readable PNG", "damaged content");
        }
    }

    private static int paeth(int left, int up, int corner) {
        int toLeft = Math.abs(up - corner);
        int toUp = Math.abs(left - corner);
        int toCorner = Math.abs(left + up - 2 * corner);
        return toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
    }

    /** One row's samples to RGB, every {@code step} bytes. */
    private void write(byte[] row, int from, int columns, byte[] rgb, int to, int step) {
        if (bits == BitDepth.ALL) {
            writeDeep(row, from, columns, rgb, to, step);
            return;
        }
        int at = from;
        for (int x = 0, out = to; x < columns; x++, out += step) {
            if (bits < 8) {
                int value = row[from + x * bits / 8] >> (8 - bits - x * bits % 8) & (1 << bits) - 1;
                set(rgb, out, colour == 3 ? value : value * (255 / ((1 << bits) - 1)));
            } else if (channels < 3) {
                set(rgb, out, row[at] & 255);
                at += channels;
            } else {
                rgb[out] = row[at];
                rgb[out + 1] = row[at + 1];
                rgb[out + 2] = row[at + 2];
                at += channels;
            }
        }
    }

    private void writeDeep(byte[] row, int from, int columns, byte[] rgb, int to, int step) {
        int colours = channels < 3 ? 1 : 3;
        int at = from;
        for (int x = 0, out = to; x < columns; x++, out += step, at += 2 * channels) {
            for (int channel = 0; channel < colours; channel++) {
                int value = (row[at + 2 * channel] & 255) << 8 | row[at + 2 * channel + 1] & 255;
                largest = Math.max(largest, value);
                unscaled |= (value & lower) > 1;
                rgb[out + channel] = (byte) (value >> shift);
            }
            if (colours == 1) {
                rgb[out + 1] = rgb[out];
                rgb[out + 2] = rgb[out];
            }
        }
    }

    private void set(byte[] rgb, int out, int value) {
        for (int channel = 0; channel < 3; channel++) {
            rgb[out + channel] = colour == 3 ? palette[3 * value + channel] : (byte) value;
        }
    }
}
