package io.picaspot.client

import okhttp3.OkHttpClient
import okhttp3.Request
import org.junit.jupiter.api.extension.BeforeAllCallback
import org.junit.jupiter.api.extension.ExtensionContext
import java.io.File
import java.io.IOException
import java.net.ServerSocket
import java.nio.file.Files
import java.nio.file.attribute.PosixFilePermissions
import java.util.concurrent.TimeUnit
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

/**
 * Builds the server and starts it, with a database of its own, before the first test of
 * a class that is extended with it; stops it after the last test of all, or when the
 * tests are interrupted.
 */
class TestServer : BeforeAllCallback {
    override fun beforeAll(context: ExtensionContext) {
        val running = context.root.getStore(ExtensionContext.Namespace.GLOBAL)
            .getOrComputeIfAbsent(TestServer::class.java, { Running() }, Running::class.java)
        url = running.url
    }

    companion object {
        /** Where it is. */
        lateinit var url: String
            private set
    }
}

private class Running : AutoCloseable {
    private val folder = Files.createTempDirectory("picaspot-client-").toFile().also {
        // PostgreSQL, which does not run as root, has to pass through.
        Files.setPosixFilePermissions(it.toPath(), PosixFilePermissions.fromString("rwxr-xr-x"))
    }
    private val log = folder.resolve("server.log")
    private val hook = Thread(::stop)
    private val server: Process
    val url: String

    init {
        try {
            build()
            val (http, ops) = freePorts()
            url = "http://127.0.0.1:$http"
            server = start(http, ops)
        } catch (e: Throwable) {
            folder.deleteRecursively()
            throw e
        }
        Runtime.getRuntime().addShutdownHook(hook)
        try {
            awaitReady()
        } catch (e: Throwable) {
            close()
            throw e
        }
    }

    override fun close() {
        Runtime.getRuntime().removeShutdownHook(hook)
        stop()
    }

    private fun build() {
        val go = ProcessBuilder("go", "build", "-o", folder.resolve("picaspot").path, "./cmd/picaspot")
            .directory(File("../.."))
            .inheritIO()
            .start()
        check(go.waitFor() == 0) { "go build failed" }
    }

    private fun start(http: Int, ops: Int): Process {
        val command = ProcessBuilder(folder.resolve("picaspot").path, "dev")
            .redirectErrorStream(true)
            .redirectOutput(log)
        command.environment().apply {
            keys.removeAll { it.startsWith("PICASPOT_") }
            put("PICASPOT_DATA_DIR", folder.resolve("data").path)
            put("PICASPOT_HTTP_ADDR", "127.0.0.1:$http")
            put("PICASPOT_OPS_ADDR", "127.0.0.1:$ops")
            put("PICASPOT_PHOTO_MAX_AGE", "0")
            // Many tests share one address; the export's limit is for the one that runs into it.
            put(
                "PICASPOT_RATE_LIMITS",
                "register:address=1000/1m,login:address=1000/1m,login:account=1000/1m,token:address=1000/1m,export:account=1/1s",
            )
        }
        return command.start()
    }

    private fun awaitReady() {
        val request = Request.Builder().url("$url/readyz").build()
        val begin = TimeSource.Monotonic.markNow()
        while (server.isAlive && begin.elapsedNow() < STARTS_WITHIN) {
            val isReady = try {
                OkHttpClient().newCall(request).execute().use { it.isSuccessful }
            } catch (_: IOException) {
                false
            }
            if (isReady) return
            server.waitFor(POLL.inWholeMilliseconds, TimeUnit.MILLISECONDS)
        }
        error("The server does not get ready:\n${log.readText()}")
    }

    private fun stop() {
        val children = server.descendants().toList()
        server.destroy()
        if (!server.waitFor(STOPS_WITHIN.inWholeSeconds, TimeUnit.SECONDS)) {
            server.destroyForcibly().waitFor()
            children.forEach { it.destroyForcibly() }
        }
        folder.deleteRecursively()
    }

    private fun freePorts(): List<Int> {
        val probes = List(2) { ServerSocket(0) }
        return probes.map { it.localPort }.also { probes.forEach(ServerSocket::close) }
    }

    private companion object {
        val STARTS_WITHIN = 120.seconds
        val STOPS_WITHIN = 30.seconds
        val POLL = 50.milliseconds
    }
}
