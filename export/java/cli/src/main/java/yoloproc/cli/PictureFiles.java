package yoloproc.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * The pictures that a command is given.
 *
 * @param files   in the order of the words, those of a folder by name
 * @param folders whether a folder was among the words
 * @param notes   lines for the user on what is passed over in folders
 */
record PictureFiles(List<Path> files, boolean folders, List<String> notes) {

    private static final List<String> SUFFIXES = List.of(".jpg", ".jpeg", ".png", ".bmp", ".jpe", ".jfif", ".jif",
            ".jfi", ".mpo", ".dib", ".apng");
    /** Of pictures that are not read: how many of them lie in a folder is said. */
    private static final Set<String> OTHERS = Set.of(".webp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif", ".jxl",
            ".jp2", ".j2k", ".jpf", ".jpx", ".jxr", ".tga", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".exr", ".hdr",
            ".dng", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".psd", ".svg",
            ".ico", ".pcx", ".dds", ".sgi", ".xcf", ".dcm");

    /**
     * The pictures among a command's words, of which the first is a model.
     *
     * @throws Mistake no model, no pictures, or a folder without any
     */
    static PictureFiles behindModel(String command, List<String> words) throws Mistake, IOException {
        if (words.size() < 2) {
            throw new Mistake(command + ": expected a model and pictures or folders, found "
                    + (words.isEmpty() ? "neither" : "no pictures") + "; see --help");
        }
        List<Path> files = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        boolean folders = false;
        for (String word : words.subList(1, words.size())) {
            folders |= add(Arguments.path("", word), files, notes);
        }
        return new PictureFiles(List.copyOf(files), folders, List.copyOf(notes));
    }

    /** Whether one picture was named, so that one file will do for what is made of it. */
    boolean isOne() {
        return files.size() == 1 && !folders;
    }

    /** Adds a picture, or those that lie in a folder, by name; whether it is a folder. */
    private static boolean add(Path path, List<Path> files, List<String> notes) throws Mistake, IOException {
        if (!Files.isDirectory(path)) {
            files.add(path);
            return false;
        }
        List<Path> all;
        try (Stream<Path> listed = Files.list(path)) {
            all = listed.sorted().toList();
        }
        List<Path> inside = all.stream().filter(file -> SUFFIXES.contains(suffix(file)) && Files.isRegularFile(file))
                .toList();
        String unread = unread(all);
        if (inside.isEmpty()) {
            throw new Mistake(path + ": expected pictures in the folder (" + String.join(", ", SUFFIXES)
                    + "), found none; folders inside are not searched" + (unread.isEmpty() ? "" : "; " + unread));
        }
        if (!unread.isEmpty()) {
            notes.add(path + ": " + unread);
        }
        List<Path> folders = all.stream().filter(file -> Files.isDirectory(file) && !hidden(file)).toList();
        if (!folders.isEmpty()) {
            notes.add(path + ": " + (folders.size() > 1 ? folders.size() + " folders inside are" : "1 folder inside is")
                    + " not searched (first: " + folders.get(0) + "); name it to have it searched");
        }
        files.addAll(inside);
        return true;
    }

    /** A line on the files that are pictures of a kind that is not read; empty where there are none. */
    private static String unread(List<Path> files) {
        List<Path> found = files.stream().filter(file -> OTHERS.contains(suffix(file))).toList();
        if (found.isEmpty()) {
            return "";
        }
        Map<String, Integer> kinds = new TreeMap<>();
        found.forEach(file -> kinds.merge(suffix(file), 1, Integer::sum));
        List<String> named = new ArrayList<>();
        kinds.forEach((kind, count) -> named.add(kind + " " + count));
        return (found.size() > 1 ? found.size() + " files are pictures" : "1 file is a picture")
                + " of a kind that is not read: " + String.join(", ", named) + " (first: " + found.get(0) + "); convert "
                + (found.size() > 1 ? "them" : "it") + " to PNG or JPEG";
    }

    /** What a name ends with, in lower case; of a hidden file nothing. */
    private static String suffix(Path file) {
        String name = file.getFileName().toString().toLowerCase(Locale.ROOT);
        int dot = name.lastIndexOf('.');
        return dot < 1 || hidden(file) ? "" : name.substring(dot);
    }

    private static boolean hidden(Path file) {
        return file.getFileName().toString().startsWith(".");
    }
}
