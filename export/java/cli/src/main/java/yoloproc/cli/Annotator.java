package yoloproc.cli;

import java.util.List;
import java.util.Locale;

import yoloproc.Detection;
import yoloproc.RgbImage;

/** Draws boxes and labels into a picture, without a screen and without fonts. */
final class Annotator {

    private static final int[] COLOURS = {0xe6194b, 0x3cb44b, 0x4363d8, 0xf58231, 0x911eb4, 0x008080, 0x9a6324, 0x800000};
    private static final int WHITE = 0xffffff;

    private final int width;
    private final int height;
    private final byte[] rgb;

    private Annotator(RgbImage picture) {
        width = picture.width();
        height = picture.height();
        rgb = picture.rgb().clone();
    }

    /** A copy of the picture with the boxes; the surest on top. */
    static RgbImage draw(RgbImage picture, List<Detection> found) {
        Annotator drawn = new Annotator(picture);
        int size = Math.max(1, Math.round(Math.max(picture.width(), picture.height()) / 400f));
        for (int i = found.size() - 1; i >= 0; i--) {
            drawn.box(found.get(i), size);
        }
        return new RgbImage(picture.width(), picture.height(), drawn.rgb);
    }

    private void box(Detection found, int size) {
        int colour = COLOURS[found.classId() % COLOURS.length];
        int x0 = (int) Math.floor(found.x0() + 0.5);
        int y0 = (int) Math.floor(found.y0() + 0.5);
        int x1 = Math.max((int) Math.floor(found.x1() + 0.5), x0 + 1);
        int y1 = Math.max((int) Math.floor(found.y1() + 0.5), y0 + 1);
        fill(x0, y0, x1, y0 + size, colour);
        fill(x0, y1 - size, x1, y1, colour);
        fill(x0, y0, x0 + size, y1, colour);
        fill(x1 - size, y0, x1, y1, colour);
        int dot = size + 1;
        String text = TinyFont.shown(String.format(Locale.ROOT, "%s %.2f", found.label(), found.confidence()));
        int textWidth = (text.length() * (TinyFont.WIDTH + 1) + 1) * dot;
        int textHeight = (TinyFont.HEIGHT + 2) * dot;
        int left = Math.max(0, Math.min(x0, width - textWidth));
        int top = y0 >= textHeight ? y0 - textHeight : y0; // above the box if there is room
        fill(left, top, left + textWidth, top + textHeight, colour);
        for (int i = 0; i < text.length(); i++) {
            glyph(text.charAt(i), left + (i * (TinyFont.WIDTH + 1) + 1) * dot, top + dot, dot);
        }
    }

    private void glyph(char sign, int left, int top, int dot) {
        for (int row = 0; row < TinyFont.HEIGHT; row++) {
            for (int column = 0; column < TinyFont.WIDTH; column++) {
                if (TinyFont.dot(sign, column, row)) {
                    int x = left + column * dot;
                    int y = top + row * dot;
                    fill(x, y, x + dot, y + dot, WHITE);
                }
            }
        }
    }

    /** Fills a rectangle, as far as it lies in the picture. */
    private void fill(int x0, int y0, int x1, int y1, int colour) {
        for (int y = Math.max(y0, 0); y < Math.min(y1, height); y++) {
            for (int x = Math.max(x0, 0); x < Math.min(x1, width); x++) {
                int at = (y * width + x) * 3;
                rgb[at] = (byte) (colour >> 16);
                rgb[at + 1] = (byte) (colour >> 8);
                rgb[at + 2] = (byte) colour;
            }
        }
    }
}
