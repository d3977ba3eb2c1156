// Carries commands between the server and a document's chip. See docs/chip-relay.md.
//
// Needs the Near Field Communication Tag Reading capability, NFCReaderUsageDescription, and in Info.plist
// com.apple.developer.nfc.readersession.iso7816.select-identifiers with A0000002471001.
// Documents that only open with PACE need the PACE polling option of iOS 16 and its entitlement.

import CoreNFC
import Foundation

public final class ChipRelay: NSObject, NFCTagReaderSessionDelegate {
    public enum Outcome { case done, failed(code: String, retry: Bool) }

    private let url: URL
    private let token: String
    private let onOutcome: (Outcome) -> Void
    // One queue owns the chip and all state below.
    private let queue = DispatchQueue(label: "chip-relay")
    private var socket: URLSessionWebSocketTask?
    private var session: NFCTagReaderSession?
    private var chip: NFCISO7816Tag?
    private var lastSeq = 0
    private var lastAnswers: [String]?
    private var over = false
    private var reconnections = 0

    public init(url: URL, token: String, onOutcome: @escaping (Outcome) -> Void) {
        self.url = url
        self.token = token
        self.onOutcome = onOutcome
    }

    /// Connects, and asks for the document when the server is ready.
    public func open() {
        queue.async { self.connect() }
    }

    public func cancel() {
        queue.async {
            guard !self.over else { return }
            self.send(["type": "cancel"])
            self.end("cancelled")
        }
    }

    private func connect() {
        let socket = URLSession.shared.webSocketTask(with: url)
        self.socket = socket
        socket.resume()
        // iOS passes extended length through; chips and server agree on what fits.
        send(["type": "hello", "version": 1, "token": token, "platform": "ios", "max_command_bytes": 2048])
        receive(from: socket)
    }

    private func receive(from socket: URLSessionWebSocketTask) {
        socket.receive { [weak self] result in
            guard let self else { return }
            self.queue.async {
                // What an older connection still says is not heard.
                guard !self.over, socket === self.socket else { return }
                guard case .success(let message) = result else { return self.again() }
                if case .string(let text) = message,
                   let fields = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] {
                    self.take(fields)
                }
                self.receive(from: socket)
            }
        }
    }

    private func again() {
        reconnections += 1
        if reconnections <= 5 { connect() } else { end("connection_lost") }
    }

    private func take(_ message: [String: Any]) {
        switch message["type"] as? String {
        case "ready":
            // said again after a reconnection, when the document is at the phone already
            if session == nil { begin() }
        case "commands":
            let seq = message["seq"] as? Int ?? 0
            // The batch came again after a reconnection: the chip must not see it twice.
            if seq == lastSeq, let answers = lastAnswers { return answer(seq, answers) }
            let commands = (message["commands"] as? [String] ?? []).compactMap { Data(base64Encoded: $0) }
            carry(commands, seq: seq, answers: [])
        case "done":
            over = true
            session?.invalidate()
            socket?.cancel(with: .normalClosure, reason: nil)
            onOutcome(.done)
        case "failed":
            let code = message["code"] as? String ?? "failed"
            guard message["retry"] as? Bool ?? false else { return end(code) }
            onOutcome(.failed(code: code, retry: true))
            chip = nil
            lastAnswers = nil
            session?.restartPolling()
        case "refused":
            end(message["code"] as? String ?? "refused")
        default:
            break
        }
    }

    private func begin() {
        session = NFCTagReaderSession(pollingOption: [.iso14443], delegate: self, queue: queue)
        session?.alertMessage = NSLocalizedString("Hold your document to the phone.", comment: "")
        session?.begin()
    }

    /// Sends one command after the other; stops after the first answer that is not 9000.
    private func carry(_ commands: [Data], seq: Int, answers: [String]) {
        guard let first = commands.first else {
            lastSeq = seq
            lastAnswers = answers
            return answer(seq, answers)
        }
        guard let chip, let command = NFCISO7816APDU(data: first) else { return lost() }
        chip.sendCommand(apdu: command) { [weak self] data, sw1, sw2, error in
            guard let self else { return }
            self.queue.async {
                guard error == nil else { return self.lost() }
                let answer = (data + Data([sw1, sw2])).base64EncodedString()
                let rest = sw1 == 0x90 && sw2 == 0 ? Array(commands.dropFirst()) : []
                self.carry(rest, seq: seq, answers: answers + [answer])
            }
        }
    }

    private func answer(_ seq: Int, _ answers: [String]) {
        send(["type": "responses", "seq": seq, "responses": answers])
    }

    private func lost() {
        chip = nil
        lastAnswers = nil
        send(["type": "chip_lost"])
    }

    private func send(_ message: [String: Any]) {
        guard let data = try? JSONSerialization.data(withJSONObject: message),
              let text = String(data: data, encoding: .utf8) else { return }
        socket?.send(.string(text)) { _ in }
    }

    private func end(_ code: String) {
        over = true
        session?.invalidate(errorMessage: code)
        socket?.cancel(with: .normalClosure, reason: nil)
        onOutcome(.failed(code: code, retry: false))
    }

    public func tagReaderSessionDidBecomeActive(_ session: NFCTagReaderSession) {}

    /// The person closed the sheet, or its time ran out.
    public func tagReaderSession(_ session: NFCTagReaderSession, didInvalidateWithError error: Error) {
        chip = nil
        self.session = nil
        guard !over else { return }
        send(["type": "cancel"])
        end("cancelled")
    }

    public func tagReaderSession(_ session: NFCTagReaderSession, didDetect tags: [NFCTag]) {
        guard let tag = tags.first, case .iso7816(let found) = tag else { return session.restartPolling() }
        session.connect(to: tag) { [weak self] error in
            guard let self else { return }
            self.queue.async {
                guard error == nil else { return session.restartPolling() }
                self.chip = found
                self.lastAnswers = nil
                self.send(["type": "chip_found"])
            }
        }
    }
}
