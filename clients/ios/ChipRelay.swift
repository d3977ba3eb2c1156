// Carries commands between the server and a document's chip. See docs/chip-relay.md.
//
// Needs the Near Field Communication Tag Reading capability, NFCReaderUsageDescription, and in Info.plist
// com.apple.developer.nfc.readersession.iso7816.select-identifiers with A0000002471001.
// Documents that only open with PACE need the PACE polling option of iOS 16 and its entitlement.

import CoreNFC
import Foundation

public final class ChipRelay: NSObject, NFCTagReaderSessionDelegate {
    public enum Outcome { case done, failed(code: String, retry: Bool) }

    private let socket: URLSessionWebSocketTask
    private let token: String
    private let onOutcome: (Outcome) -> Void
    private var session: NFCTagReaderSession?
    private var chip: NFCISO7816Tag?

    public init(url: URL, token: String, onOutcome: @escaping (Outcome) -> Void) {
        socket = URLSession.shared.webSocketTask(with: url)
        self.token = token
        self.onOutcome = onOutcome
    }

    /// Connects, and asks for the document when the server is ready.
    public func open() {
        socket.resume()
        // iOS passes extended length through; chips and server agree on what fits.
        send(["type": "hello", "version": 1, "token": token, "platform": "ios", "max_command_bytes": 2048])
        receive()
    }

    private func receive() {
        socket.receive { [weak self] result in
            guard let self else { return }
            guard case .success(.string(let text)) = result,
                  let message = try? JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            else { return self.end("connection_lost", retry: false) }
            self.take(message)
            self.receive()
        }
    }

    private func take(_ message: [String: Any]) {
        switch message["type"] as? String {
        case "ready":
            session = NFCTagReaderSession(pollingOption: [.iso14443], delegate: self)
            session?.alertMessage = NSLocalizedString("Hold your document to the phone.", comment: "")
            session?.begin()
        case "commands":
            let commands = (message["commands"] as? [String] ?? []).compactMap { Data(base64Encoded: $0) }
            carry(commands, seq: message["seq"] as? Int ?? 0, answers: [])
        case "done":
            session?.invalidate()
            onOutcome(.done)
        case "failed":
            end(message["code"] as? String ?? "failed", retry: message["retry"] as? Bool ?? false)
        case "refused":
            end(message["code"] as? String ?? "refused", retry: false)
        default:
            break
        }
    }

    /// Sends one command after the other; stops after the first answer that is not 9000.
    private func carry(_ commands: [Data], seq: Int, answers: [String]) {
        guard let first = commands.first else {
            return send(["type": "responses", "seq": seq, "responses": answers])
        }
        guard let chip, let command = NFCISO7816APDU(data: first) else {
            return send(["type": "chip_lost"])
        }
        chip.sendCommand(apdu: command) { [weak self] data, sw1, sw2, error in
            guard let self else { return }
            if error != nil {
                self.chip = nil
                return self.send(["type": "chip_lost"])
            }
            let answer = (data + Data([sw1, sw2])).base64EncodedString()
            let rest = sw1 == 0x90 && sw2 == 0 ? Array(commands.dropFirst()) : []
            self.carry(rest, seq: seq, answers: answers + [answer])
        }
    }

    private func send(_ message: [String: Any]) {
        guard let data = try? JSONSerialization.data(withJSONObject: message),
              let text = String(data: data, encoding: .utf8) else { return }
        socket.send(.string(text)) { _ in }
    }

    private func end(_ code: String, retry: Bool) {
        session?.invalidate(errorMessage: code)
        onOutcome(.failed(code: code, retry: retry))
    }

    public func tagReaderSessionDidBecomeActive(_ session: NFCTagReaderSession) {}

    public func tagReaderSession(_ session: NFCTagReaderSession, didInvalidateWithError error: Error) {
        chip = nil
    }

    public func tagReaderSession(_ session: NFCTagReaderSession, didDetect tags: [NFCTag]) {
        guard let tag = tags.first, case .iso7816(let found) = tag else { return session.restartPolling() }
        session.connect(to: tag) { [weak self] error in
            guard let self, error == nil else { return session.restartPolling() }
            self.chip = found
            self.send(["type": "chip_found"])
        }
    }
}
