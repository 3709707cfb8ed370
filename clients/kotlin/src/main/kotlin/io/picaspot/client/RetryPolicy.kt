package io.picaspot.client

import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

/** How requests that may be sent twice are sent again. */
public data class RetryPolicy(
    /** How often a request is sent at most, the first time included. */
    val attempts: Int = 3,
    /** The pause before the second try, doubled at each further one. */
    val baseDelay: Duration = 300.milliseconds,
    /**
     * The longest pause. A request that the server wants to wait longer for fails at
     * once, with [PicaspotException.retryAfter].
     */
    val maxDelay: Duration = 10.seconds,
) {
    /**
     * The pause before the try after this one (from 1), or null where there is to be
     * none. Half of it is drawn, so that clients that failed together don't come back
     * together.
     */
    internal fun delayBefore(attempt: Int, retryAfter: Duration?): Duration? {
        if (attempt >= attempts || (retryAfter != null && retryAfter > maxDelay)) return null
        var delay = baseDelay
        repeat(attempt - 1) { delay = minOf(delay * 2, maxDelay) }
        return maxOf(retryAfter ?: Duration.ZERO, minOf(delay, maxDelay) * Random.nextDouble(0.5, 1.0))
    }

    public companion object {
        /** Sends each request once. */
        public val NONE: RetryPolicy = RetryPolicy(attempts = 1)
    }
}
