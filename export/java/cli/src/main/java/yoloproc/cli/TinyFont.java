package yoloproc.cli;

import java.text.Normalizer;
import java.util.HashMap;
import java.util.Map;

/**
 * Letters of 3 x 5 dots, since a machine without a screen often has no fonts. Small letters are shown as capitals,
 * accents dropped, and what is unknown is a question mark.
 */
final class TinyFont {

    static final int WIDTH = 3;
    static final int HEIGHT = 5;

    // A sign, and its rows from above; each row is an octal digit, its three bits the dots from the left.
    private static final String DOTS = "A25755 B65656 C34443 D65556 E74647 F74644 G34553 H55755 I72227 J11152 K55655 "
            + "L44447 M57755 N65555 O25552 P65644 Q25573 R65655 S34216 T72222 U55557 V55552 W55775 X55255 Y55222 Z71247 "
            + "075557 126227 261247 361216 455711 574616 674757 771122 825252 975717 .00002 ,00024 -00700 _00007 :02020 "
            + "/11244 (12221 )42224 %51245 +02720 #57575 '22000 ?61202";
    private static final Map<Character, String> GLYPHS = new HashMap<>();

    static {
        for (String glyph : DOTS.split(" ")) {
            GLYPHS.put(glyph.charAt(0), glyph.substring(1));
        }
        GLYPHS.put(' ', "00000");
    }

    private TinyFont() {
    }

    /** The text as it can be shown, one glyph a character. */
    static String shown(String text) {
        StringBuilder shown = new StringBuilder();
        String plain = Normalizer.normalize(text, Normalizer.Form.NFD);
        plain.codePoints().filter(sign -> Character.getType(sign) != Character.NON_SPACING_MARK).forEach(sign -> {
            int capital = Character.toUpperCase(sign);
            shown.append(capital < 128 && GLYPHS.containsKey((char) capital) ? (char) capital : '?');
        });
        return shown.toString();
    }

    /** Whether a glyph of a shown text has a dot there. */
    static boolean dot(char sign, int column, int row) {
        return (GLYPHS.get(sign).charAt(row) - '0' >> WIDTH - 1 - column & 1) == 1;
    }
}
