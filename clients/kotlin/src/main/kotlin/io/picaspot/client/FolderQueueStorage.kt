package io.picaspot.client

import io.picaspot.client.internal.json
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.serialization.Serializable
import kotlinx.serialization.SerializationException
import kotlinx.serialization.encodeToString
import okhttp3.MediaType.Companion.toMediaTypeOrNull
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.asRequestBody
import okio.BufferedSink
import okio.buffer
import okio.sink
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.util.UUID

/**
 * Keeps attempts in a folder: of each, the photo and a file of JSON. On Android it is one of
 * the app's own, as `File(context.filesDir, "attempts")`. There is to be one of it for a
 * folder, in one process.
 */
public class FolderQueueStorage(private val folder: File) : QueueStorage {
    /** One change after the other, so that each finds the file that the last one left. */
    private val turn = Mutex()
    private var isTidy = false

    override suspend fun add(entry: QueuedAttempt, photo: RequestBody): Unit = inTurn {
        val number = (entryFiles().lastOrNull()?.name?.take(DIGITS)?.toLong() ?: 0) + 1
        write(photoFile(entry.id)) { photo.writeTo(it) }
        val name = "${number.toString().padStart(DIGITS, '0')}-${entry.id}.json"
        write(folder.resolve(name)) { it.writeUtf8(json.encodeToString(Stored(entry, photo.contentType()?.toString()))) }
    }

    override suspend fun list(): List<QueuedAttempt> = inTurn {
        entryFiles().mapNotNull {
            try {
                read(it).entry
            } catch (_: SerializationException) {
                // One that a disk damaged does not hold up the others; its files stay.
                null
            }
        }
    }

    override suspend fun photo(id: UUID): RequestBody? = inTurn {
        val photo = photoFile(id)
        fileOf(id)?.takeIf { photo.exists() }?.let { photo.asRequestBody(read(it).photoType?.toMediaTypeOrNull()) }
    }

    override suspend fun update(entry: QueuedAttempt): Unit = inTurn {
        fileOf(entry.id)?.let { file ->
            val stored = Stored(entry, read(file).photoType)
            write(file) { it.writeUtf8(json.encodeToString(stored)) }
        }
    }

    override suspend fun remove(id: UUID): Unit = inTurn {
        // Without its entry a photo is never sent.
        fileOf(id)?.let(::delete)
        delete(photoFile(id))
    }

    private suspend fun <T> inTurn(block: () -> T): T = turn.withLock {
        if (!isTidy) tidy()
        isTidy = true
        block()
    }

    /** Removes what a process left that ended in the middle of a change. */
    private fun tidy() {
        if (!folder.isDirectory && !folder.mkdirs()) throw IOException("The folder $folder can't be made.")
        val ids = entryFiles().map(::idOf).toSet()
        folder.listFiles().orEmpty()
            .filter { it.extension == "draft" || (it.extension == "photo" && it.nameWithoutExtension !in ids) }
            .forEach(::delete)
    }

    /** The files of entries, by when they were added. */
    private fun entryFiles(): List<File> {
        val files = folder.listFiles() ?: throw IOException("The folder $folder can't be read.")
        return files.filter { ENTRY.matches(it.name) }.sortedBy { it.name }
    }

    private fun fileOf(id: UUID) = entryFiles().find { idOf(it) == id.toString() }

    private fun idOf(entryFile: File) = entryFile.nameWithoutExtension.drop(DIGITS + 1)

    private fun photoFile(id: UUID) = folder.resolve("$id.photo")

    private fun read(file: File) = json.decodeFromString<Stored>(file.readText())

    /** Writes a file that is there as a whole or not at all, and on the disk. */
    private fun write(file: File, content: (BufferedSink) -> Unit) {
        val draft = folder.resolve("${UUID.randomUUID()}.draft")
        try {
            FileOutputStream(draft).use { output ->
                output.sink().buffer().let {
                    content(it)
                    it.flush()
                }
                output.fd.sync()
            }
            if (!draft.renameTo(file)) throw IOException("$file can't be written.")
        } finally {
            draft.delete()
        }
    }

    private fun delete(file: File) {
        if (!file.delete() && file.exists()) throw IOException("$file can't be removed.")
    }

    @Serializable
    private class Stored(val entry: QueuedAttempt, val photoType: String? = null)

    private companion object {
        const val DIGITS = 10
        val ENTRY = Regex("\\d{$DIGITS}-.*\\.json")
    }
}
