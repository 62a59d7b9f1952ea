package main

func report(string, []string) error { return nil }
