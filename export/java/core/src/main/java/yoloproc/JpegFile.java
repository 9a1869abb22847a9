package yoloproc;

import java.io.ByteArrayOutputStream;
import java.util.Arrays;

/** JPEG files, made plain for the JDK's decoder. */
final class JpegFile {

    private static final byte[] JFIF = {(byte) 0xFF, (byte) 0xE0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1,
        0, 0};
    private static final byte[] ADOBE_RGB = {(byte) 0xFF, (byte) 0xEE, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0,
        0, 0, 0};

    private JpegFile() {
    }

    /**
     * The same pixels without profiles, comments and the like, and with one clear word about their colours.
     *
     * <p>The JDK guesses colours in its own way where a file says nothing, and takes profiles into account; here they
     * follow the rule of libjpeg, as in Python: JFIF means YCbCr, else Adobe's flag counts, else the channels' names.
     *
     * @throws FormatException a file without an end: a decoder would fill with grey what is missing; too many scans
     */
    static byte[] plain(byte[] data, String where) throws FormatException {
        PictureBytes bytes = new PictureBytes(data, where);
        ByteArrayOutputStream kept = new ByteArrayOutputStream(data.length + JFIF.length);
        boolean jfif = false;
        int adobe = -1; // the flag: 0 for RGB
        boolean named = false; // channels named R, G, B
        int end = 2;
        for (int at = bytes.segment(2); at >= 0; at = bytes.segment(end)) {
            int marker = bytes.u8(at + 1);
            int length = bytes.u16(at + 2);
            bytes.need(at + 2, length);
            if (marker == 0xE0) {
                jfif |= length >= 16 && bytes.isAt(at + 4, "JFIF\0");
            } else if (marker == 0xEE && length >= 14 && bytes.isAt(at + 4, "Adobe")) {
                adobe = bytes.u8(at + 15);
            }
            if (marker >= 0xC0 && marker <= 0xC2) {
                named = length >= 17 && bytes.u8(at + 10) == 'R' && bytes.u8(at + 13) == 'G'
                        && bytes.u8(at + 16) == 'B';
            }
            if ((marker < 0xE0 || marker > 0xEF) && marker != 0xFE) {
                kept.write(data, at, length + 2);
            }
            end = at + 2 + length;
        }
        checkEnd(bytes, data, end);
        checkScans(bytes, where, end);
        boolean rgb = !jfif && (adobe >= 0 ? adobe == 0 : named);
        byte[] word = rgb ? ADOBE_RGB : JFIF;
        byte[] plain = Arrays.copyOf(data, 2 + word.length + kept.size() + data.length - end);
        System.arraycopy(word, 0, plain, 2, word.length);
        System.arraycopy(kept.toByteArray(), 0, plain, 2 + word.length, kept.size());
        System.arraycopy(data, end, plain, 2 + word.length + kept.size(), data.length - end);
        return plain;
    }

    private static void checkEnd(PictureBytes bytes, byte[] data, int from) throws FormatException {
        // The end marker cannot occur inside a scan; the one of a thumbnail stands in front of it.
        for (int at = from; at < data.length - 1; at++) {
            if (data[at] == (byte) 0xFF && data[at + 1] == (byte) 0xD9) {
                return;
            }
        }
        throw bytes.wrong("a whole JPEG", "one that ends early");
    }

    /** Sees to it that there are not too many scans before the end: each costs a pass over all pixels. */
    private static void checkScans(PictureBytes bytes, String where, int from) throws FormatException {
        int scans = 0;
        int at = from;
        while (true) {
            while (at < bytes.length() - 1 && !(bytes.u8(at) == 0xFF && isMarker(bytes.u8(at + 1)))) {
                at++;
            }
            if (at >= bytes.length() - 1 || bytes.u8(at + 1) == 0xD9) {
                return;
            }
            int marker = bytes.u8(at + 1);
            at += 2;
            if (marker != 0x01 && marker != 0xD8) { // these have no content
                at += at + 1 < bytes.length() ? bytes.u16(at) : 2;
            }
            if (marker == 0xDA && ++scans > PictureCosts.MAX_SCANS) {
                throw new FormatException(where, "", "a JPEG of at most " + PictureCosts.MAX_SCANS + " scans",
                        "more; write it anew", "bomb");
            }
        }
    }

    /** Whether a byte behind 0xFF makes a marker of it that can end a scan: no stuffing, no filling, no restart. */
    private static boolean isMarker(int second) {
        return second != 0 && second != 0xFF && (second < 0xD0 || second > 0xD7);
    }
}
