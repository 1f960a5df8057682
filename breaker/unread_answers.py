import socket,struct,sys,time,threading,os
port=int(sys.argv[1]);mode=sys.argv[2];pid=int(sys.argv[3]);secs=float(sys.argv[4])
s=socket.create_connection(('127.0.0.1',port))
def frame(t,f,sid,p): return struct.pack('>I',len(p))[1:]+bytes([t,f])+struct.pack('>I',sid)+p
def lit(n,v): return bytes([0,len(n)])+n+bytes([len(v)])+v
hdr=b''.join(lit(a,b) for a,b in [(b':method',b'POST'),(b':scheme',b'http'),(b':path',b'/kerros.v1.SequencerService/SubmitTransactions'),(b':authority',b'x'),(b'content-type',b'application/grpc'),(b'te',b'trailers')])
s.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'+frame(4,0,0,struct.pack('>HI',4,0))+frame(1,4,1,hdr))
win={0:65535,1:65535};cv=threading.Condition();init=65535;lock=threading.Lock();ans=0
def rd(n):
    b=b''
    while len(b)<n:
        c=s.recv(n-len(b))
        if not c: raise SystemExit
        b+=c
    return b
def reader():
    global ans,init
    while 1:
        h=rd(9);l=int.from_bytes(h[:3],'big');t,f=h[3],h[4];sid=int.from_bytes(h[5:],'big')&0x7fffffff;p=rd(l)
        if t==8:
            with cv: win[sid]=win.get(sid,0)+int.from_bytes(p,'big');cv.notify()
        elif t==4 and not f&1:
            for i in range(0,l,6):
                k,v=struct.unpack('>HI',p[i:i+6])
                if k==4:
                    with cv: win[1]+=v-init;init=v;cv.notify()
            with lock: s.sendall(frame(4,1,0,b''))
        elif t==6 and not f&1:
            with lock: s.sendall(frame(6,1,0,p))
        elif t==0: ans+=l
        elif t in(3,7): print('reset/goaway',p)
threading.Thread(target=reader,daemon=True).start()
if mode=='empty': msg=b'\0\0\0\0\0'; 
else: msg=b'\0'+struct.pack('>I',175)+b'\x0a'+bytes([172,1])+b'\x01'*172
blk=msg*(16380//len(msg))
def rss():
    return int([l for l in open(f'/proc/{pid}/status') if l.startswith('VmRSS')][0].split()[1])//1024
t0=time.time();sent=0;last=0;print('t=0 rss',rss(),'MiB',flush=True)
while time.time()-t0<secs:
    with cv:
        while min(win[0],win[1])<len(blk):
            cv.wait(1)
            if time.time()-t0>secs: break
        win[0]-=len(blk);win[1]-=len(blk)
    with lock: s.sendall(frame(0,0,1,blk))
    sent+=len(blk)
    if time.time()-last>3: last=time.time();print(f't={last-t0:.0f} sent {sent>>20} MiB = {sent//len(msg)} requests, answer bytes read {ans}, rss {rss()} MiB',flush=True)
print(f'end sent {sent>>20} MiB, {sent//len(msg)} requests, rss {rss()} MiB')
