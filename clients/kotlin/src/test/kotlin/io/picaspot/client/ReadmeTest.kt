package io.picaspot.client

import org.jetbrains.kotlin.cli.common.ExitCode
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler
import org.junit.jupiter.api.io.TempDir
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.PrintStream
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** What the README's code takes for granted: the app, and the examples before it. */
private val APP = """
    import io.picaspot.client.*
    import io.picaspot.client.model.*
    import java.io.File
    import java.util.UUID
    import kotlinx.coroutines.CoroutineScope
    import okhttp3.RequestBody

    lateinit var client: PicaspotClient
    lateinit var baseUrl: String
    lateinit var identifier: String
    lateinit var password: String
    lateinit var otp: String
    lateinit var store: TokenStore
    lateinit var file: File
    lateinit var filesDir: File
    lateinit var photo: RequestBody
    lateinit var scope: CoroutineScope
    lateinit var me: Me
    lateinit var id: UUID
    lateinit var areaId: UUID
    lateinit var landmarkId: UUID
    lateinit var lastSeen: String
    lateinit var report: ReportCreate
    val latitude = 1.2868
    val longitude = 103.8545
    object bar { fun set(sent: Long, total: Long?) {} }
    fun show(it: Any?) {}
    fun append(items: List<Any>) {}
    fun showLogin(why: String?) {}
    fun askForCode() {}
""".trimIndent()

/** As much of Android's DataStore as the README uses. */
private val DATA_STORE = """
    package androidx.datastore.core
    interface DataStore<T> { val data: kotlinx.coroutines.flow.Flow<T> }
""".trimIndent()

private val PREFERENCES = """
    package androidx.datastore.preferences.core
    import androidx.datastore.core.DataStore
    interface Preferences { interface Key<T>; operator fun <T> get(key: Key<T>): T? }
    interface MutablePreferences : Preferences {
        fun <T> remove(key: Preferences.Key<T>): T
        operator fun <T> set(key: Preferences.Key<T>, value: T)
    }
    fun stringPreferencesKey(name: String): Preferences.Key<String> = object : Preferences.Key<String> {}
    suspend fun DataStore<Preferences>.edit(transform: suspend (MutablePreferences) -> Unit): Preferences = TODO()
""".trimIndent()

class ReadmeTest {
    @Test
    fun `the code in the README compiles, with the imports that it prints`(@TempDir folder: File) {
        val blocks = Regex("(?ms)^```kotlin\n(.*?)^```$").findAll(File("README.md").readText()).map { it.groupValues[1] }.toList()
        val kotlin = blocks.filter { "implementation(" !in it }
        assertTrue(kotlin.size > 8)
        // A reader goes on in the file that the quick start began.
        val general = imports(kotlin.first())
        kotlin.forEachIndexed { i, code ->
            val rest = code.lines().filterNot { it.startsWith("import ") }.joinToString("\n")
            val all = (general + imports(code)).distinct().joinToString("\n")
            folder.resolve("Block${i + 1}.kt").writeText("$all\nsuspend fun block${i + 1}() {\n$rest\n}\n")
        }
        folder.resolve("App.kt").writeText(APP)
        folder.resolve("DataStore.kt").writeText(DATA_STORE)
        folder.resolve("Preferences.kt").writeText(PREFERENCES)
        val output = ByteArrayOutputStream()
        val exit = K2JVMCompiler().exec(
            PrintStream(output),
            folder.path,
            "-no-stdlib",
            "-no-reflect",
            "-nowarn",
            "-classpath",
            System.getProperty("java.class.path"),
            "-d",
            folder.resolve("classes").path,
        )
        assertEquals(ExitCode.OK, exit, output.toString())
    }

    private fun imports(code: String) = code.lines().filter { it.startsWith("import ") }
}
