# Writes its argument to port 0xe9, byte for byte, but a newline for each `|`.
	.globl	_start
_start:
	mov	$173, %eax		# ioperm(0xe9, 1, 1)
	mov	$0xe9, %edi
	mov	$1, %esi
	mov	$1, %edx
	syscall
	mov	16(%rsp), %rsi		# argv[1]
1:	lodsb
	test	%al, %al
	jz	3f
	cmp	$'|', %al
	jne	2f
	mov	$'\n', %al
2:	out	%al, $0xe9
	jmp	1b
3:	mov	$60, %eax		# exit(0)
	xor	%edi, %edi
	syscall
