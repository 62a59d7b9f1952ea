// Package signal holds the messages of the protocol: their types, their claims,
// the reasons why calls end, the codes with which messages are refused, and the
// codec. See docs/protocol.md, "Messages".
package signal
