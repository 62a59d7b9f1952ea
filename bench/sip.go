package main

import "context"

func (b bench) sip(context.Context) error { return nil }
