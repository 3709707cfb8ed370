package io.picaspot.client.internal

import io.picaspot.client.PicaspotNetworkException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.launch
import okhttp3.Call
import okhttp3.Response
import okio.BufferedSource
import java.io.IOException

/**
 * One server-sent event.
 *
 * @property id What to send as Last-Event-ID to go on after this one; empty for none.
 */
internal class ServerSentEvent(val event: String, val data: String, val id: String)

/** There is no stream to be had. */
internal class NoStreamException : Exception("The answer is not a stream of events.")

/** The events of an answer as they come. The connection ends with the flow. */
internal fun Response.events(call: Call): Flow<ServerSentEvent> = callbackFlow {
    launch(Dispatchers.IO) {
        use {
            val body = it.body
            if (body?.contentType()?.subtype != "event-stream") {
                close(NoStreamException())
                return@use
            }
            try {
                val parser = EventParser(body.source())
                while (true) send(parser.next() ?: break)
                close()
            } catch (e: IOException) {
                close(PicaspotNetworkException(e))
            }
        }
    }
    awaitClose { call.cancel() }
}

/** Takes a stream of events apart (HTML standard, section 9.2.6), the lines of which end as this server ends them. */
private class EventParser(private val source: BufferedSource) {
    private var id = ""

    /** The next event; null at the end, where what no empty line has followed is none. */
    fun next(): ServerSentEvent? {
        var event = "message"
        val data = mutableListOf<String>()
        while (true) {
            val line = source.readUtf8Line() ?: return null
            if (line.isEmpty()) {
                if (data.isNotEmpty()) return ServerSentEvent(event, data.joinToString("\n"), id)
                event = "message"
                continue
            }
            val value = line.substringAfter(':', "").removePrefix(" ")
            when (line.substringBefore(':')) {
                "event" -> event = value
                "data" -> data += value
                "id" -> id = value
            }
        }
    }
}
