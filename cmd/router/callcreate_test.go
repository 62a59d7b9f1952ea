package main

import (
	"testing"

	"github.com/voicerouter/voicerouter/call"
	"github.com/voicerouter/voicerouter/identity"
)

// TestCreateRequest: every flag about the route reaches it.
func TestCreateRequest(t *testing.T) {
	t.Parallel()
	n := newConversation{
		cid: "c1", proxy: "proxy", customer: "1111111111", operator: "1112223334",
		operatorName: "Bob", customerName: "Ada", start: "both", maskCallID: true,
	}
	got, err := n.request()
	if err != nil {
		t.Fatal(err)
	}
	want, err := call.Route{
		Proxy: identity.MustID("proxy"), Customer: identity.MustID("1111111111"), Operator: identity.MustID("1112223334"),
		OperatorName: "Bob", CustomerName: "Ada", Start: call.StartBoth, MaskCallID: true,
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := got.Encode(); err != nil || string(b) != string(want) {
		t.Errorf("want %s, got %s, error %v", want, b, err)
	}
}
