package io.picaspot.client

import io.picaspot.client.model.FieldError
import java.io.IOException
import kotlin.time.Duration

/**
 * The server refused a request, or failed at it. What it said is a problem (RFC 9457);
 * an answer of something in between, as of a proxy, is told by its status alone.
 */
public class PicaspotException(
    /** The HTTP status. */
    public val status: Int,
    public val title: String,
    /** A stable URI reference that names the problem; about:blank where nobody named it. */
    public val type: String = "about:blank",
    /** What is the case, for people. */
    public val detail: String? = null,
    /** The path of the request. */
    public val instance: String? = null,
    /** What the server's log knows the request by. */
    public val requestId: String? = null,
    /** Every fault of the request at once; empty where it was not the request's. */
    public val errors: List<FieldError> = emptyList(),
    /** How long to wait before another try. */
    public val retryAfter: Duration? = null,
    cause: Throwable? = null,
) : Exception(detail ?: title, cause) {
    /** The last part of the type, as [ProblemCode.ALREADY_UNLOCKED]. */
    public val code: String? = type.substringAfterLast('/', "").ifEmpty { null }
}

/** No answer came: the network, the name or the server is away. */
public class PicaspotNetworkException(cause: IOException) : IOException("The server could not be reached.", cause)
