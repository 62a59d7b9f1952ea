package subjects_test

import (
	"fmt"

	"github.com/voicerouter/voicerouter/subjects"
)

func ExampleVoice() {
	fmt.Println(subjects.Voice("1112223334", "start"))
	// Output: voice.1112223334.start
}

func ExampleParseVoice() {
	self, typ, ok := subjects.ParseVoice("voice.1112223334.start")
	fmt.Println(self, typ, ok)
	_, _, ok = subjects.ParseVoice("voice.*.start")
	fmt.Println(ok)
	// Output:
	// 1112223334 start true
	// false
}

func ExampleParseCall() {
	key, kind, ok := subjects.ParseCall(subjects.State("c-42"))
	fmt.Println(key, kind, ok)
	// Output: c-42 state true
}

func ExampleDirectKey() {
	key := subjects.DirectKey("c-42", "1112223334", "helpdesk")
	fmt.Println(key == subjects.DirectKey("c-42", "helpdesk", "1112223334"), subjects.ValidCID(key), subjects.ValidKey(key))
	// Output: true false true
}
