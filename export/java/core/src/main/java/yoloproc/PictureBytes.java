package yoloproc;

import java.util.Arrays;

/** The bytes of a picture's file, or some of them; reading beyond their end is an error of the file. */
final class PictureBytes {

    private final byte[] data;
    private final String where;

    PictureBytes(byte[] data, String where) {
        this.data = data;
        this.where = where;
    }

    int length() {
        return data.length;
    }

    PictureBytes part(int from, int to) {
        return new PictureBytes(Arrays.copyOfRange(data, from, to), where);
    }

    void need(int at, int count) throws FormatException {
        if (at < 0 || count < 0 || at > data.length - count) {
            throw wrong("a whole header", "a file that ends inside it");
        }
    }

    int u8(int at) throws FormatException {
        need(at, 1);
        return data[at] & 255;
    }

    int u16(int at) throws FormatException {
        need(at, 2);
        return (data[at] & 255) << 8 | data[at + 1] & 255;
    }

    int s32(int at) throws FormatException {
        return u16(at) << 16 | u16(at + 2);
    }

    int le16(int at) throws FormatException {
        return Short.toUnsignedInt(Short.reverseBytes((short) u16(at)));
    }

    int le32(int at) throws FormatException {
        return Integer.reverseBytes(s32(at));
    }

    boolean startsWith(String signs) {
        return isAt(0, signs);
    }

    /** Whether the bytes from {@code at} on are these, one a character; false beyond the end. */
    boolean isAt(int at, String signs) {
        boolean same = at >= 0 && at <= data.length - signs.length();
        for (int i = 0; same && i < signs.length(); i++) {
            same = (data[at + i] & 255) == signs.charAt(i);
        }
        return same;
    }

    /**
     * Where the first segment of a JPEG with a content begins, from {@code from} on: at the byte 0xFF in front of its
     * marker. -1 if the first scan or the end comes first.
     */
    int segment(int from) throws FormatException {
        int at = from;
        while (true) {
            if (u8(at) != 0xFF) {
                throw wrong("a JPEG segment", "something else at byte " + at);
            }
            while (u8(at + 1) == 0xFF) { // any number of fill bytes
                at++;
            }
            int marker = u8(at + 1);
            if (marker == 0xD9 || marker == 0xDA) {
                return -1;
            }
            if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) { // these have no content
                at += 2;
                continue;
            }
            if (u16(at + 2) < 2) {
                throw wrong("a JPEG segment", "one of " + u16(at + 2) + " bytes at byte " + (at + 2));
            }
            return at;
        }
    }

    FormatException wrong(String expected, String found) {
        return new FormatException(where, "", expected, found, "picture");
    }
}
