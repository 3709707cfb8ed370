package io.picaspot.client.internal

import io.picaspot.client.PicaspotException
import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.TimeMark
import kotlin.time.TimeSource

/** How long to leave something alone after it failed. */
internal class Backoff(private val baseDelay: Duration, private val maxDelay: Duration) {
    /** The last failure. */
    var error: Throwable? = null
        private set
    private var next = baseDelay
    private var end: TimeMark? = null

    /** What is left of the pause; not positive where it is over. */
    val left: Duration
        get() = end?.let { -it.elapsedNow() } ?: Duration.ZERO

    /**
     * Whether the pause is one that the server asked for, or that it needs. One without a network is
     * over as soon as the network may be back, one without a session as soon as the app logged in.
     */
    val isOrdered: Boolean
        get() = left.isPositive() && (error as? PicaspotException)?.let { it.status != 401 } == true

    /** Half of a pause is drawn, so that clients that failed together don't come back together. */
    fun fail(error: Throwable) {
        this.error = error
        val ordered = (error as? PicaspotException)?.retryAfter ?: Duration.ZERO
        end = TimeSource.Monotonic.markNow() + maxOf(ordered, next * Random.nextDouble(0.5, 1.0))
        next = minOf(next * 2, maxDelay)
    }

    fun succeed() {
        error = null
        end = null
        next = baseDelay
    }
}
