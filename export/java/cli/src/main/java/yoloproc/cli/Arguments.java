package yoloproc.cli;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The words behind a command: values, and flags with or without a value. A lone {@code --} ends the flags. */
final class Arguments {

    private final List<String> values = new ArrayList<>();
    private final Map<String, String> flags = new HashMap<>();

    /**
     * Sorts the words.
     *
     * @param valued flags that are followed by a value, or that have it behind an equals sign
     * @param plain  flags that stand alone
     */
    Arguments(List<String> words, Set<String> valued, Set<String> plain) throws Mistake {
        boolean open = true;
        for (int i = 0; i < words.size(); i++) {
            String word = words.get(i);
            if (!open || !word.startsWith("-") || word.equals("-")) {
                values.add(word);
            } else if (word.equals("--")) {
                open = false;
            } else {
                int sign = word.indexOf('=');
                String name = sign < 0 ? word : word.substring(0, sign);
                if (plain.contains(name) && sign < 0) {
                    put(name, "");
                } else if (valued.contains(name) && (sign >= 0 || i + 1 < words.size())) {
                    put(name, sign >= 0 ? word.substring(sign + 1) : words.get(++i));
                } else {
                    throw new Mistake(word + ": " + wrong(name, valued, plain));
                }
            }
        }
    }

    private static String wrong(String name, Set<String> valued, Set<String> plain) {
        if (valued.contains(name)) {
            return "expected a value behind it, found none";
        }
        return plain.contains(name) ? "expected no value, found one" : "no such option; see --help";
    }

    private void put(String name, String value) throws Mistake {
        if (flags.put(name, value) != null) {
            throw new Mistake(name + ": expected once, found twice");
        }
    }

    List<String> values() {
        return values;
    }

    boolean has(String flag) {
        return flags.containsKey(flag);
    }

    /** A number, or null without the flag. */
    Double number(String flag) throws Mistake {
        try {
            return has(flag) ? Double.valueOf(flags.get(flag)) : null;
        } catch (NumberFormatException error) {
            throw new Mistake(flag + ": expected a number, found " + flags.get(flag));
        }
    }

    /** A whole number, or null without the flag. */
    Integer whole(String flag) throws Mistake {
        try {
            return has(flag) ? Integer.valueOf(flags.get(flag)) : null;
        } catch (NumberFormatException error) {
            throw new Mistake(flag + ": expected a whole number, found " + flags.get(flag));
        }
    }

    /** A path, or null without the flag. */
    Path path(String flag) throws Mistake {
        return has(flag) ? path(flag + " ", flags.get(flag)) : null;
    }

    /** A word as a path. */
    static Path path(String before, String word) throws Mistake {
        try {
            if (!word.isEmpty()) {
                return Path.of(word);
            }
        } catch (InvalidPathException error) {
            // Told below. Letters beyond ASCII are no path where the system's locale is C.
        }
        boolean ascii = word.chars().allMatch(sign -> sign < 128);
        throw new Mistake(before + word + ": expected a file or folder, found a name that none can have"
                + (ascii ? "" : " in this locale; try LC_ALL=C.UTF-8"));
    }
}
