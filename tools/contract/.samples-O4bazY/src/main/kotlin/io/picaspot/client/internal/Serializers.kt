package io.picaspot.client.internal

import kotlinx.serialization.KSerializer
import kotlinx.serialization.SerializationException
import kotlinx.serialization.descriptors.PrimitiveKind
import kotlinx.serialization.descriptors.PrimitiveSerialDescriptor
import kotlinx.serialization.descriptors.SerialDescriptor
import kotlinx.serialization.encoding.Decoder
import kotlinx.serialization.encoding.Encoder
import kotlinx.serialization.json.Json
import java.time.OffsetDateTime
import java.time.format.DateTimeFormatter
import java.time.format.DateTimeParseException
import java.util.UUID

/** What the server adds in a later version is no error here. */
internal val json = Json { ignoreUnknownKeys = true }

/** An enum by its values, where one that is not known is not an error but [unknown]. */
internal abstract class EnumSerializer<E : Enum<E>>(name: String, private val entries: List<E>, private val unknown: E) :
    KSerializer<E> {
    override val descriptor: SerialDescriptor = PrimitiveSerialDescriptor("io.picaspot.client.model.$name", PrimitiveKind.STRING)

    override fun serialize(encoder: Encoder, value: E) = encoder.encodeString(value.toString())

    override fun deserialize(decoder: Decoder): E {
        val value = decoder.decodeString()
        return entries.firstOrNull { it.toString() == value } ?: unknown
    }
}

/** Times are read with any offset, and written in UTC with a Z. */
internal object TimeSerializer : KSerializer<OffsetDateTime> {
    override val descriptor: SerialDescriptor = PrimitiveSerialDescriptor("java.time.OffsetDateTime", PrimitiveKind.STRING)

    override fun serialize(encoder: Encoder, value: OffsetDateTime) = encoder.encodeString(value.inUTC())

    override fun deserialize(decoder: Decoder): OffsetDateTime = try {
        OffsetDateTime.parse(decoder.decodeString())
    } catch (e: DateTimeParseException) {
        throw SerializationException("It is not a time.", e)
    }
}

internal object UuidSerializer : KSerializer<UUID> {
    override val descriptor: SerialDescriptor = PrimitiveSerialDescriptor("java.util.UUID", PrimitiveKind.STRING)

    override fun serialize(encoder: Encoder, value: UUID) = encoder.encodeString(value.toString())

    override fun deserialize(decoder: Decoder): UUID = UUID.fromString(decoder.decodeString())
}

internal fun OffsetDateTime.inUTC(): String = DateTimeFormatter.ISO_INSTANT.format(this)
