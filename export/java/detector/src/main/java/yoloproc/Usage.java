package yoloproc;

/**
 * Who uses something that must not be closed meanwhile: the runtime kills the JVM if it is.
 *
 * <p>The monitor is held while a number changes, never while the work is done.
 */
final class Usage {

    private final String what;
    private int running;
    private boolean closed;

    /**
     * A use of something.
     *
     * @param what it is, for messages
     */
    Usage(String what) {
        this.what = what;
    }

    /**
     * Begins a use. {@link #leave()} must follow.
     *
     * @throws IllegalStateException closed
     */
    synchronized void enter() {
        if (closed) {
            throw new IllegalStateException(what + ": expected an open one, found it closed; load the model again");
        }
        running++;
    }

    /** Ends a use. */
    synchronized void leave() {
        running--;
        if (running == 0) {
            notifyAll();
        }
    }

    /**
     * Refuses all later uses and waits for those that run.
     *
     * @param release what is done then; once, whoever closes first
     */
    synchronized void close(Runnable release) {
        boolean first = !closed;
        closed = true;
        boolean interrupted = false;
        while (running > 0) {
            try {
                wait();
            } catch (InterruptedException error) {
                interrupted = true; // closing half would be worse: the caller learns of it afterwards
            }
        }
        try {
            if (first) {
                release.run();
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
