package io.picaspot.client.internal

import kotlinx.serialization.encodeToString
import okhttp3.FormBody
import okhttp3.HttpUrl
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.MultipartBody
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.RequestBody.Companion.toRequestBody
import java.time.OffsetDateTime
import java.util.UUID

/**
 * One call of an operation of the contract, with what was given for it. Null is what
 * was left out.
 *
 * @property isPublic Whether the operation takes no access token.
 */
internal class Operation(private val method: String, private val path: String, val isPublic: Boolean = false) {
    private val pathValues = mutableMapOf<String, String>()
    private val query = mutableListOf<Pair<String, String>>()
    private val headers = mutableMapOf<String, String>()
    private val parts = MultipartBody.Builder().setType(MultipartBody.FORM)
    private val fields = FormBody.Builder(Charsets.UTF_8)
    private var form = Form.NONE
    private var body: RequestBody? = null
    private var asksForPassword = false

    /** Whether the body can be sent a second time. */
    var isReplayable = true
        private set

    fun path(name: String, value: Any) = apply {
        val segment = wire(value)
        require(segment.isNotEmpty() && segment != "." && segment != "..") { "$name can't be \"$segment\"." }
        pathValues["{$name}"] = segment
    }

    fun query(name: String, value: Any?) = apply {
        if (value != null) query += name to wire(value)
    }

    /** An Idempotency-Key that was left out is made up. */
    fun header(name: String, value: Any?) = apply {
        val given = value?.toString() ?: if (name == IDEMPOTENCY_KEY) UUID.randomUUID().toString() else return@apply
        headers[name] = given
    }

    fun body(file: RequestBody, contentType: String) = apply {
        requireNotNull(file.contentType()) { "The file has to say its content type: $contentType." }
        body = file
        isReplayable = !file.isOneShot()
    }

    inline fun <reified T> body(value: T, contentType: String) = apply {
        val text = if (value is String && !isJSON(contentType)) value else json.encodeToString(value)
        body = text.toRequestBody(contentType.toMediaType())
    }

    /** The body has a field for a password. */
    fun password(@Suppress("UNUSED_PARAMETER") name: String) = apply {
        asksForPassword = true
    }

    /** A field of a form with files. A file's name, which may say more than anybody has to know, is not sent. */
    fun part(name: String, value: Any?) = apply {
        form = Form.MULTIPART
        when (value) {
            null -> {}

            is RequestBody -> {
                parts.addFormDataPart(name, "file", value)
                isReplayable = isReplayable && !value.isOneShot()
            }

            else -> parts.addFormDataPart(name, wire(value))
        }
    }

    fun field(name: String, value: Any?) = apply {
        form = Form.URL_ENCODED
        if (value != null) fields.add(name, wire(value))
    }

    /**
     * Whether sending the request twice does what sending it once does. A request with
     * If-Match is refused the second time, as what it changed has another ETag by then,
     * and nobody could tell that refusal from a lost update; so is one with a password
     * that the first try changed.
     */
    val isRepeatable: Boolean
        get() = isReplayable &&
            when {
                IDEMPOTENCY_KEY in headers -> true
                "If-Match" in headers || asksForPassword -> false
                else -> method == "GET" || method == "PUT" || method == "DELETE"
            }

    /** The request, with further [headers] that the operation's own win over. */
    fun request(baseUrl: HttpUrl, headers: Map<String, String>, token: String?): Request {
        val url = baseUrl.newBuilder()
        for (segment in path.removePrefix("/").split('/')) url.addPathSegment(pathValues[segment] ?: segment)
        for ((name, value) in query) url.addQueryParameter(name, value)
        val request = Request.Builder().url(url.build()).method(method, payload())
        for ((name, value) in headers + this.headers) request.header(name, value)
        if (token != null) request.header("Authorization", "Bearer $token")
        return request.build()
    }

    private fun payload(): RequestBody? = when (form) {
        Form.MULTIPART -> parts.build()

        Form.URL_ENCODED -> fields.build()

        // OkHttp demands a body of some methods, also where the contract has none.
        Form.NONE -> body ?: if (method == "GET" || method == "DELETE") null else ByteArray(0).toRequestBody()
    }

    private enum class Form { NONE, MULTIPART, URL_ENCODED }

    private companion object {
        const val IDEMPOTENCY_KEY = "Idempotency-Key"
    }
}

internal fun isJSON(contentType: String): Boolean = JSON_TYPE.containsMatchIn(contentType)

private val JSON_TYPE = Regex("[/+]json\\b", RegexOption.IGNORE_CASE)

private fun wire(value: Any): String = if (value is OffsetDateTime) value.inUTC() else value.toString()
