package yoloproc;

/** A network that cannot be run, or that gives no numbers. The message is one line. */
public final class InferenceException extends RuntimeException {

    private static final long serialVersionUID = 1;

    InferenceException(String message, Throwable cause) {
        super(message, cause);
    }
}
