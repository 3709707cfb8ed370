package io.picaspot.client

import okhttp3.HttpUrl.Companion.toHttpUrl
import java.io.IOException
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.util.concurrent.CopyOnWriteArraySet
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread

/** A network on the way to the server that can go away, and lose what comes back of uploads. */
class Relay : AutoCloseable {
    /** How many answers to an upload are lost from now on. */
    val loses = AtomicInteger()
    private val sockets = CopyOnWriteArraySet<Socket>()
    private var server: ServerSocket? = null
    private val port: Int

    init {
        up(0)
        port = server!!.localPort
    }

    val url: String get() = "http://127.0.0.1:$port"

    /** The network is there. */
    fun up(at: Int = port) {
        val listening = ServerSocket(at, 50, InetAddress.getByName("127.0.0.1"))
        server = listening
        thread(isDaemon = true) {
            try {
                while (true) carry(listening.accept())
            } catch (_: IOException) {
                // It went down.
            }
        }
    }

    /** The network is gone: connections break and are refused. */
    fun down() {
        server?.close()
        sockets.forEach(Socket::close)
        sockets.clear()
    }

    override fun close() = down()

    private fun carry(near: Socket) {
        val to = TestServer.url.toHttpUrl()
        val far = Socket(to.host, to.port)
        sockets += listOf(near, far)
        val uploads = AtomicBoolean()
        copy(near, far) {
            if ("/attempts" in it) uploads.set(true)
            true
        }
        copy(far, near) { !uploads.get() || loses.getAndUpdate { left -> maxOf(0, left - 1) } == 0 }
    }

    private fun copy(from: Socket, to: Socket, passes: (String) -> Boolean) = thread(isDaemon = true) {
        val buffer = ByteArray(65_536)
        try {
            while (true) {
                val read = from.getInputStream().read(buffer)
                if (read < 0 || !passes(String(buffer, 0, read, Charsets.ISO_8859_1))) break
                to.getOutputStream().write(buffer, 0, read)
            }
        } catch (_: IOException) {
            // One of them was closed.
        }
        from.close()
        to.close()
    }
}
