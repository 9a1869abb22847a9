package yoloproc.cli;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

import javax.imageio.ImageIO;

import yoloproc.Detection;
import yoloproc.Pictures;
import yoloproc.RgbImage;
import yoloproc.Scredit;

/** A project of the scredit editor: the pictures in a folder, their scripts in {@code annotations} beside them. */
final class ScreditProject {

    private final Path folder;
    private int renamed;
    private int beside;

    ScreditProject(Path folder) throws Mistake {
        if (Files.exists(folder) && !Files.isDirectory(folder)) {
            throw new Mistake("--scredit " + folder + ": expected a folder, found a file");
        }
        this.folder = folder;
    }

    /** What was left out or changed, lines for the user. */
    List<String> notes() {
        List<String> lines = new ArrayList<>();
        if (renamed > 0) {
            lines.add("pictures with another name in " + folder + ": " + renamed + " (as PNG: the editor would not see "
                    + "them as they are seen here)");
        }
        if (beside > 0) {
            lines.add("objects wholly beside their picture, left out: " + beside);
        }
        return lines;
    }

    /** Writes the script of a picture, and the picture unless it is there. A script that is there stays. */
    void write(Path source, RgbImage picture, List<Detection> found) throws IOException, Mistake {
        byte[] stored = Files.readAllBytes(source);
        boolean plain = isPlain(source, stored, picture);
        String name = source.getFileName().toString();
        Path target = folder.resolve(plain ? name : DrawnPictures.stem(source) + ".png");
        Path script;
        try {
            script = Scredit.scriptOf(target);
        } catch (IllegalArgumentException error) {
            throw new Mistake(error.getMessage());
        }
        if (Files.exists(script)) {
            throw new Mistake(script + ": expected no script yet, found one, which may be the work of a person; name "
                    + "another folder, or remove it");
        }
        Files.createDirectories(script.toAbsolutePath().getParent());
        if (!Files.exists(target)) {
            Files.write(target, plain ? stored : DrawnPictures.png(picture));
        } else if (!plain || !Arrays.equals(Files.readAllBytes(target), stored)) {
            throw new Mistake(target + ": expected no picture of this name yet, found another one");
        }
        List<Detection> inside = found.stream().filter(one -> one.x0() < one.x1() && one.y0() < one.y1()).toList();
        Files.write(script, Scredit.write(inside, picture.width(), picture.height()));
        beside += found.size() - inside.size();
        renamed += plain ? 0 : 1;
    }

    /** Whether the editor sees the file as it was seen here: it opens few kinds, and knows nothing of EXIF. */
    private static boolean isPlain(Path source, byte[] stored, RgbImage picture) {
        String name = source.getFileName().toString().toLowerCase(Locale.ROOT);
        if (!name.endsWith(".jpg") && !name.endsWith(".jpeg") && !name.endsWith(".png")) {
            return false;
        }
        try {
            RgbImage asStored = Pictures.of(ImageIO.read(new ByteArrayInputStream(stored)));
            return asStored.width() == picture.width() && Arrays.equals(asStored.rgb(), picture.rgb());
        } catch (IOException | RuntimeException error) {
            return false; // a kind that only our reader knows
        }
    }
}
