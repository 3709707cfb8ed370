package io.picaspot.client

import okhttp3.Headers

/** An answer that was a success, or a 304 to a request that named the version it has. */
public class Answer<out T> internal constructor(
    /** The HTTP status. */
    public val status: Int,
    public val headers: Headers,
    private val body: T?,
) {
    /** The body. There is none when [isNotModified]. */
    public val data: T
        get() = body ?: throw IllegalStateException("The version that was asked about is still current, so the answer has no data.")

    /** The version of the resource, for `ifMatch`, `ifNoneMatch` and [ifChanged]. */
    public val etag: String?
        get() = headers["ETag"]

    /** Whether the resource is still the version that `ifNoneMatch` named. */
    public val isNotModified: Boolean
        get() = status == NOT_MODIFIED

    /** As [data]. */
    public operator fun component1(): T = data

    /** As [etag]. */
    public operator fun component2(): String? = etag

    override fun toString(): String = "Answer(status=$status, etag=$etag, data=$body)"

    internal companion object {
        const val NOT_MODIFIED = 304
    }
}

/**
 * Gets a resource unless it is still the version that [etag] names, and answers null
 * if it is. Without an ETag the resource is got in any case.
 *
 * ```
 * val area = ifChanged(known.etag) { client.areas.getArea(id, ifNoneMatch = it) }
 * ```
 */
public suspend fun <T> ifChanged(etag: String?, get: suspend (ifNoneMatch: String?) -> Answer<T>): Answer<T>? =
    get(etag).takeUnless { it.isNotModified }
