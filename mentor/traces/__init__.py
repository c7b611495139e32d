"""Conversations that somebody's model had with tools, as logged or published, read into the OpenAI chat shape.

rows of a file -> **form** (a module each in `forms`) -> messages -> checked order -> a task with its conversation.
"""
