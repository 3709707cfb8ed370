package io.picaspot.client

import okhttp3.MediaType
import okhttp3.RequestBody
import okio.Buffer
import okio.BufferedSink
import okio.ForwardingSink
import okio.Sink
import okio.buffer

/** How much of a file was sent. */
public class Progress(
    /** Bytes that were sent. */
    public val sent: Long,
    /** Bytes of the whole file; null where they are not known before. */
    public val total: Long?,
) {
    override fun toString(): String = "$sent of ${total ?: "?"}"
}

/**
 * This file, telling how much of it was sent while it is. When the request is sent again,
 * the telling begins anew. [onProgress] is called on a thread of the network and keeps
 * the upload waiting.
 */
public fun RequestBody.withProgress(onProgress: (Progress) -> Unit): RequestBody = CountedBody(this, onProgress)

private class CountedBody(private val body: RequestBody, private val onProgress: (Progress) -> Unit) : RequestBody() {
    override fun contentType(): MediaType? = body.contentType()

    override fun contentLength(): Long = body.contentLength()

    override fun isOneShot(): Boolean = body.isOneShot()

    override fun isDuplex(): Boolean = body.isDuplex()

    override fun writeTo(sink: BufferedSink) {
        val total = contentLength().takeIf { it >= 0 }
        val counted = CountedSink(sink) { onProgress(Progress(it, total)) }.buffer()
        body.writeTo(counted)
        counted.emit()
    }
}

/** Hands on what it gets in pieces, for bytes in memory come all at once. */
private class CountedSink(sink: Sink, private val onSent: (Long) -> Unit) : ForwardingSink(sink) {
    private var sent = 0L

    override fun write(source: Buffer, byteCount: Long) {
        var left = byteCount
        while (left > 0) {
            val piece = minOf(left, PIECE)
            super.write(source, piece)
            left -= piece
            sent += piece
            onSent(sent)
        }
    }

    private companion object {
        const val PIECE = 16_384L
    }
}
