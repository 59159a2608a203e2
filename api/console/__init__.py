"""The console: pages for administrators, auditors and data-protection officers, under /console.

What a page shows or does comes from `api.admin`, the engine and the interfaces' grammar; here are routes,
forms, sessions, roles and templates.
"""
