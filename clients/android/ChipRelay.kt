// Carries commands between the server and a document's chip. See docs/chip-relay.md.
//
// Needs android.permission.NFC and android.permission.INTERNET, and OkHttp 4 or later.
// Use: ChipRelay(url, token, listener).open(); then, from NfcAdapter.enableReaderMode with
// FLAG_READER_NFC_A or FLAG_READER_NFC_B or FLAG_READER_SKIP_NDEF_CHECK, pass each tag to onTag.

package org.bonafide.chiprelay

import android.nfc.Tag
import android.nfc.tech.IsoDep
import android.util.Base64
import java.io.IOException
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.Response
import okhttp3.WebSocket
import okhttp3.WebSocketListener
import org.json.JSONArray
import org.json.JSONObject

class ChipRelay(private val url: String, private val token: String, private val listener: Listener) {

    interface Listener {
        fun onReady()
        fun onProgress(share: Float)
        fun onDone()
        fun onFailed(code: String, retry: Boolean)
    }

    private val http = OkHttpClient.Builder().pingInterval(15, TimeUnit.SECONDS).build()
    // One thread owns the chip and all state below.
    private val worker = Executors.newSingleThreadExecutor()
    private var socket: WebSocket? = null
    private var chip: IsoDep? = null
    private var lastSeq = 0L
    private var lastAnswers: JSONArray? = null
    private var over = false
    private var reconnections = 0

    fun open() = worker.execute { connect() }

    fun cancel() = worker.execute {
        send(JSONObject().put("type", "cancel"))
        over = true
    }

    fun onTag(tag: Tag) = worker.execute {
        val found = IsoDep.get(tag) ?: return@execute
        try {
            found.connect()
            found.timeout = 10_000
            chip = found
            lastAnswers = null
            // Only with a chip in the field Android tells whether longer commands fit: say hello once more with it.
            if (found.isExtendedLengthApduSupported) hello(found.maxTransceiveLength)
            send(JSONObject().put("type", "chip_found"))
        } catch (error: IOException) {
            chip = null
        }
    }

    private fun connect() {
        socket = http.newWebSocket(Request.Builder().url(url).build(), object : WebSocketListener() {
            override fun onOpen(webSocket: WebSocket, response: Response) = worker.execute {
                hello(chip?.takeIf { it.isExtendedLengthApduSupported }?.maxTransceiveLength)
            }

            override fun onMessage(webSocket: WebSocket, text: String) = worker.execute { take(JSONObject(text)) }

            override fun onClosing(webSocket: WebSocket, code: Int, reason: String) {
                webSocket.close(1000, null)
            }

            // A server that goes away closes without a word: the conversation may go on over a new connection.
            override fun onClosed(webSocket: WebSocket, code: Int, reason: String) = worker.execute { again() }

            override fun onFailure(webSocket: WebSocket, t: Throwable, response: Response?) = worker.execute { again() }
        })
    }

    private fun again() {
        if (over) return
        if (reconnections++ < 5) connect() else end("connection_lost")
    }

    /// First on every connection; [maxCommandBytes] absent means that only short commands work.
    private fun hello(maxCommandBytes: Int?) {
        val hello = JSONObject().put("type", "hello").put("version", 1).put("token", token).put("platform", "android")
        maxCommandBytes?.let { hello.put("max_command_bytes", it) }
        send(hello)
    }

    private fun take(message: JSONObject) {
        when (message.getString("type")) {
            "ready" -> listener.onReady()
            "commands" -> carry(message)
            "done" -> { over = true; listener.onDone() }
            "failed" -> {
                val retry = message.getBoolean("retry")
                over = !retry
                listener.onFailed(message.getString("code"), retry)
            }
            "refused" -> end(message.getString("code"))
        }
    }

    private fun carry(message: JSONObject) {
        val seq = message.getLong("seq")
        listener.onProgress(message.getDouble("progress").toFloat())
        // The batch came again after a reconnection: the chip must not see it twice.
        if (seq == lastSeq && lastAnswers != null) return answer(seq)
        val chip = this.chip ?: return lost()
        val commands = message.getJSONArray("commands")
        val answers = JSONArray()
        try {
            for (at in 0 until commands.length()) {
                val reply = chip.transceive(Base64.decode(commands.getString(at), Base64.DEFAULT))
                answers.put(Base64.encodeToString(reply, Base64.NO_WRAP))
                val size = reply.size
                val success = size >= 2 && reply[size - 2] == 0x90.toByte() && reply[size - 1] == 0.toByte()
                if (!success) break
            }
        } catch (error: IOException) {
            return lost()
        }
        lastSeq = seq
        lastAnswers = answers
        answer(seq)
    }

    private fun answer(seq: Long) {
        send(JSONObject().put("type", "responses").put("seq", seq).put("responses", lastAnswers))
    }

    private fun lost() {
        chip = null
        lastAnswers = null
        send(JSONObject().put("type", "chip_lost"))
    }

    private fun end(code: String) {
        over = true
        listener.onFailed(code, false)
    }

    private fun send(message: JSONObject) {
        socket?.send(message.toString())
    }
}
